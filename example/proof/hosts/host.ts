import { startHost } from './cluster';

// One of the hosts that start_redis.ts starts. It ends with it, however that ends; a signal that Egg has acted on already
// does nothing.
process.once('disconnect', () => process.kill(process.pid, 'SIGINT'));

startHost(Number(process.env.PORT));
