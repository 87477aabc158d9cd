import type { Application } from 'egg';

export default ({ router, controller }: Application): void => {
  router.get('/', controller.home.show);
  router.get('/tabs', controller.tabs.show);
  router.get('/api/tabs', controller.tabs.count);
  router.get('/api/ticker', controller.ticker.recent);
  router.post('/api/rooms/:room/messages', controller.rooms.post);
  router.post('/api/jobs', controller.jobs.start);
  router.post('/api/login', controller.people.login);
  router.post('/api/logout', controller.people.logout);
  router.post('/api/notes', controller.notes.post);
  router.get('/answers', controller.answers.show);
  router.post('/api/answers', controller.answers.start);
  router.post('/api/answers/:id/stop', controller.answers.stop);
};
