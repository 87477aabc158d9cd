import { MemoryBroker } from '../../lib/broker/memory';
import { Member } from '../support/member';
import { contract } from './contract';

contract(
  'the memory broker',
  async () => ({
    async join(overrides) {
      const member = new Member(new MemoryBroker(), overrides);
      await member.start();
      return member;
    },
    async close() {
      // Nothing outlives it.
    },
  }),
  { members: 1 },
);
