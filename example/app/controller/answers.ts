import { randomUUID } from 'node:crypto';
import { Controller } from 'egg';
import { answer } from '../../lib/model';
import { readText } from '../../lib/texts';

const MAX_QUESTION_LENGTH = 200;

/** Answers of a model, as runs: they go on without the page that asked, and any page that knows the id reads them. */
export default class AnswersController extends Controller {
  async show(): Promise<void> {
    await this.ctx.render('answers.html', {
      title: 'Ask the model',
      subtitle: 'Its answer is a run: it goes on without this page, and every page that opens it gets all of it.',
    });
  }

  async start(): Promise<void> {
    const { app, ctx } = this;
    const question = readText(ctx, 'question', MAX_QUESTION_LENGTH);
    ctx.status = 201;
    ctx.body = await app.sse.run(randomUUID(), (signal) => answer(question, signal));
  }

  async stop(): Promise<void> {
    const { app, ctx } = this;
    ctx.body = { stopped: await app.sse.stopRun(String(ctx.params.id)) };
  }
}

declare module 'egg' {
  interface IController {
    answers: AnswersController;
  }
}
