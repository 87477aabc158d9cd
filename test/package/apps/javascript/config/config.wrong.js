'use strict';

module.exports = {
  sse: { maxClients: 'many' },
};
