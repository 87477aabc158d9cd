import 'egg-sse';

export default {
  sse: { enable: true, package: 'egg-sse' },
};
