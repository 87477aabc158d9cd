import type { Context } from 'egg';
import { RequestSse } from '../../lib/egg/ctx_sse';

export default {
  get sse(): RequestSse {
    const ctx = this as unknown as Context;
    return new RequestSse(ctx.app.sse.endpoint, ctx);
  },
};
