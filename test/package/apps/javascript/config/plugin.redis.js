'use strict';

module.exports = {
  redis: { enable: true, package: process.env.REDIS_PLUGIN },
};
