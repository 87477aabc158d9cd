'use strict';

module.exports = {
  keys: 'a secret of this test',
  middleware: ['visit', 'late'],
};
