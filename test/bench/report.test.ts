import assert from 'node:assert/strict';
import { putFigures, toCharts, toMarkdown, toSentence, toSummary } from '../../bench/report';
import { medianOf, type Results, type Sample } from '../../bench/results';
import { textOf } from '../support/docs';

const speed = (work: string, server: string, perCpuSecond: number, problems: string[] = []): Sample => ({
  work,
  server,
  figures: { perCpuSecond },
  problems,
});

const results: Results = {
  date: '2026-01-01',
  machine: '2 cores',
  rounds: 3,
  isQuick: false,
  notes: ['nchan is left out'],
  samples: [
    ...[700_000, 900_000, 800_000].map((value) => speed('a-1000-200', 'ours', value)),
    ...[90_000, 110_000].map((value) => speed('a-1000-200', 'better-sse', value)),
    speed('a-1000-200', 'raw', 120_000, ['3 lost']),
    ...[100, 1_000].map((x) => ({ work: 'clients', server: 'ours', figures: { x, cpuMicroseconds: 2 }, problems: [] })),
  ],
};

describe("the benchmark's report", () => {
  it('takes the median of the rounds', () => {
    assert.equal(medianOf(results, 'a-1000-200', 'ours', 'perCpuSecond'), 800_000);
    assert.equal(medianOf(results, 'a-1000-200', 'better-sse', 'perCpuSecond'), 100_000);
    assert.equal(medianOf(results, 'b', 'ours', 'perCpuSecond'), undefined);
  });

  it('says how many times better ours is, and what was wrong with a figure', () => {
    const text = toMarkdown(results);
    assert.match(text, /\| 800 k \|/);
    assert.match(text, /\| 100 k \(ours 8\.0 ×\) \|/);
    assert.match(text, /\| 120 k \(ours 6\.7 ×\) \(3 lost\) \|/);
    assert.match(text, /- nchan is left out/);
  });

  it('says whether a goal is reached, when it was measured', () => {
    assert.match(toMarkdown(results), /at least 8 times better-sse \| 8\.00 \| yes/);
    assert.doesNotMatch(toMarkdown(results), /nchan \| .*\| (yes|\*\*no)/);
  });

  it('draws what was measured, and the summary shows it', () => {
    const charts = toCharts(results);
    assert.deepEqual(Object.keys(charts), ['speed', 'clients']);
    for (const { svg } of Object.values(charts)) {
      assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
      assert.match(svg, /prefers-color-scheme: dark/);
    }
    assert.match(toSummary(results, 'here'), /!\[[^\]]+\]\(here\/speed\.svg\)/);
  });

  it('says in a sentence how many times as fast it is', () => {
    const sentence = toSentence(results);
    assert.match(
      sentence,
      /1,000 clients: 800 k deliveries per second of CPU, .*, 8\.0 times as many as better-sse \(/,
    );
    assert.doesNotMatch(sentence, /egg-sse 1/);
    assert.equal(toSentence({ ...results, samples: [] }), '');
  });

  it('has a place in the README and in docs/speed.md, which it writes anew', () => {
    for (const page of ['README.md', 'docs/speed.md']) {
      const text = textOf(page);
      const written = putFigures(text, 'fast');
      assert.equal(written.split('\n\nfast\n').length, 2);
      assert.notEqual(written, text);
      assert.equal(putFigures(written, 'fast'), written);
    }
    assert.throws(() => putFigures('no place', 'fast'), /no place for the figures/);
  });
});
