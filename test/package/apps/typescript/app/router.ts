import type { Application } from 'egg';

export default (app: Application): void => {
  app.router.get('/publish', 'news.create');
  app.router.post('/publish', 'news.create');
  app.router.get('/tell', 'news.tell');
  app.router.get('/mistake', 'news.mistake');
  app.router.get('/words', 'news.words');
};
