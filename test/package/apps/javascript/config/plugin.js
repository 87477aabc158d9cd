'use strict';

module.exports = {
  sse: { enable: true, package: 'egg-sse' },
};
