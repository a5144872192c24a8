// Schedules in the browser: the words, the times, and that both are those of the server.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parseSchedule, ScheduleError } from '../../web/lib/cron.js';
import { isZone, localTime, nextTimes } from '../../web/lib/cron_times.js';
import { scheduleInWords } from '../../web/lib/cron_words.js';
import { Server } from './harness/server.js';
import { until } from './harness/wait.js';

test('a schedule is told in words', () => {
  for (const [schedule, words] of [
    ['0 9 * * 1-5', 'every weekday at 09:00'],
    ['0 9 * * MON-FRI', 'every weekday at 09:00'],
    ['*/5 * * * *', 'every 5 minutes'],
    ['* * * * *', 'every minute'],
    ['* 5 * * *', 'every minute from 05:00 to 05:59'],
    ['0 * * * *', 'every hour'],
    ['1 * * * *', 'at 1 minute past every hour'],
    ['30 * * * 1-5', 'at 30 minutes past every hour, every weekday'],
    ['0 */2 * * *', 'every 2 hours'],
    ['15 */6 * * *', 'every 6 hours from 00:15'],
    ['0 9-17 * * 1-5', 'every hour from 09:00 to 17:00, every weekday'],
    ['*/10 9-17 * * *', 'every 10 minutes from 09:00 to 17:50'],
    ['*/10 9,17 * * *', 'every 10 minutes in the hours 09 and 17'],
    ['5,20,35,50 * * * *', 'every 15 minutes from 5 minutes past every hour'],
    ['10-20 4-6 * * *', 'every minute from 10 to 20 past the hours 04 to 06'],
    ['1,7 3,5 * * *', 'at 1 and 7 minutes past the hours 03 and 05'],
    ['0 9,17 * * *', 'every day at 09:00 and 17:00'],
    ['0 0 * * 0,6', 'every Saturday and Sunday at 00:00'],
    ['0 0 * * 2-5', 'Tuesday to Friday at 00:00'],
    ['0 0 1 * *', 'on the 1st of every month at 00:00'],
    ['0 0 1,2,3,11,22 * *', 'on the 1st, 2nd, 3rd, 11th and 22nd of every month at 00:00'],
    ['0 0 1 1 *', 'every year on 1 January at 00:00'],
    ['0 0 13 * fri', 'on the 13th of every month and every Friday at 00:00'],
    ['0 0 13 6-8 fri', 'on the 13th of the month and every Friday, from June to August at 00:00'],
    ['0 0 1-31 * fri', 'every day at 00:00'],
    ['0 12 * 6-8 *', 'every day from June to August at 12:00'],
    ['0 0 31 2 *', 'never'],
    ['0 0 31 2 mon', 'every Monday in February at 00:00'],
    [', * * * *', 'never'],
    ['@daily', 'every day at 00:00'],
    ['@hourly', 'every hour'],
    ['@every 1h30m', 'every 1 hour and 30 minutes'],
    ['@every 1s', 'every second'],
  ]) {
    assert.equal(scheduleInWords(parseSchedule(schedule ?? '')), words, schedule);
  }
});

/** ISO times without the seconds. @param {string} schedule @param {string} after @param {string} zone @param {number} count */
function times(schedule, after, zone, count) {
  return nextTimes(parseSchedule(schedule), Date.parse(after), zone, count).map((time) =>
    new Date(time).toISOString().slice(0, 16),
  );
}

test("times are those of the zone's clock, over its changes, too", () => {
  const berlin = 'Europe/Berlin';
  const table = [
    // Clocks go forward on 29 March 2026: half past two does not come.
    [times('30 2 * * *', '2026-03-28T00:00Z', berlin, 2), ['2026-03-28T01:30', '2026-03-30T00:30']],
    // They go back on 25 October: half past two comes twice, and so do the minutes around it, in order.
    [times('30 2 * * *', '2026-10-24T12:00Z', berlin, 3), ['2026-10-25T00:30', '2026-10-25T01:30', '2026-10-26T01:30']],
    [
      times('*/30 2 * * *', '2026-10-24T12:00Z', berlin, 4),
      ['2026-10-25T00:00', '2026-10-25T00:30', '2026-10-25T01:00', '2026-10-25T01:30'],
    ],
    [times('0 9 * * 1-5', '2026-11-27T09:00Z', berlin, 2), ['2026-11-30T08:00', '2026-12-01T08:00']],
    [times('0 0 * * *', '2026-11-27T09:00Z', 'Asia/Kolkata', 1), ['2026-11-27T18:30']],
    // A zone half an hour off, with a change of half an hour.
    [times('0 12 * * *', '2026-04-04T00:00Z', 'Australia/Lord_Howe', 2), ['2026-04-04T01:00', '2026-04-05T01:30']],
    // A day that Samoa left out.
    [times('0 6 * * *', '2011-12-29T00:00Z', 'Pacific/Apia', 2), ['2011-12-29T16:00', '2011-12-30T16:00']],
    [times('0 0 29 2 *', '2026-01-01T00:00Z', 'UTC', 2), ['2028-02-29T00:00']],
    [times('0 0 31 2 *', '2026-01-01T00:00Z', 'UTC', 2), []],
    [times('59 23 * * *', '2026-01-01T23:59Z', 'UTC', 1), ['2026-01-02T23:59']],
    [times('@every 1h30m', '2026-01-01T00:10Z', 'UTC', 2), ['2026-01-01T01:40', '2026-01-01T03:10']],
  ];
  for (const [found, wanted] of table) {
    assert.deepEqual(found, wanted);
  }
  assert.equal(localTime(Date.parse('2026-07-01T22:30Z'), berlin), Date.parse('2026-07-02T00:30Z'));
  assert.ok(isZone('Etc/GMT+12') && !isZone('Europe/Nowhere') && !isZone(''));
});

const SCHEDULES = [
  ...'5|5,6|5,,6,|,|5-8|5-8/2|50/3|*/20|?/30|+7|5-5|3/100|*-7|*-7/2|60|*/0|1-2-3|1/2/3|x|-5|*/-5|9-5|99999999999999999999|0x5|1.5'
    .split('|')
    .map((minute) => `${minute} * * * *`),
  ...'* * * jAn-MAR,dec SUN,wed-Fri|* * * * 7|* 1-24 * * *|* * 0 * *|* * * 13 *|* * L * *|* * * * 5#3|* * * monday *'.split(
    '|',
  ),
  ...' |* * * *|0 *  * * * *| @daily|TZ=UTC * * * * *|@reboot|@Daily|@every|@every 5|@every 5d|@every x|@every -5m'.split(
    '|',
  ),
  ...'@yearly|@annually|@monthly|@weekly|@daily|@midnight|@hourly|@every 90s|@every 1h30m|@every .5m|@every 1h5|@every 2562048h'.split(
    '|',
  ),
  ...'0 0 31 2 *|0 0 13 * fri|0 0 */2 * */2|30 2 * * *|*/7 1-3 * * *|0 12 29 2 *|@constructor|@every 5constructor'.split(
    '|',
  ),
];

/** @param {string} name @param {string} schedule @param {string} timeZone */
function cronJob(name, schedule, timeZone) {
  const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'none' }] } };
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name },
    spec: { schedule, timeZone, jobTemplate: { spec: { template } } },
  };
}

/** What the browser has against a schedule. @param {string} schedule */
function complaint(schedule) {
  try {
    parseSchedule(schedule);
    return '';
  } catch (error) {
    assert.ok(error instanceof ScheduleError, `${schedule}: ${error}`);
    return error.message;
  }
}

test('the server accepts the same schedules, has the same complaints, and comes at the same times', async () => {
  const server = await Server.start();
  try {
    const at = '/apis/batch/v1/namespaces/default/cronjobs';
    const zones = ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'Asia/Kolkata'];
    /** @type {Map<string, { schedule: string, zone: string }>} */
    const accepted = new Map();
    for (const [i, schedule] of SCHEDULES.entries()) {
      const said = complaint(schedule);
      const name = `c${i}`;
      const zone = zones[i % zones.length] ?? 'UTC';
      const answer = await server.ask('POST', at, JSON.stringify(cronJob(name, schedule, zone))).then(
        () => '',
        (/** @type {Error} */ error) => error.message,
      );
      if (said === '') {
        assert.equal(answer, '', schedule);
        accepted.set(name, { schedule, zone });
      } else {
        assert.match(answer, / 422 /, schedule);
        const { causes } = /** @type {{ causes: { message: string }[] }} */ (
          JSON.parse(answer.slice(answer.indexOf('{'))).details
        );
        assert.ok(
          causes.some(({ message }) => message.endsWith(`: ${said}`)),
          `${schedule}: ${JSON.stringify(causes)}; ${said}`,
        );
      }
    }
    assert.ok(accepted.size > 25 && accepted.size < SCHEDULES.length - 25, `${accepted.size} of ${SCHEDULES.length}`);

    /** @type {string} */
    let metrics = '';
    await until('the server tells next times', async () => {
      metrics = await server.get('/metrics');
      return metrics.includes('kube_cronjob_next_schedule_time{');
    });
    const now = Date.now();
    let compared = 0;
    for (const [, name = '', value] of metrics.matchAll(
      /^kube_cronjob_next_schedule_time\{.*?cronjob="(c\d+)".*?\} (\S+)$/gm,
    )) {
      const { schedule, zone } = accepted.get(name) ?? { schedule: '', zone: '' };
      if (schedule.startsWith('@every')) {
        continue;
      }
      const mine = nextTimes(parseSchedule(schedule), now, zone, 1)[0] ?? 0;
      // A minute may have begun in between.
      const theirs = Number(value) * 1000;
      assert.ok(
        mine === theirs || nextTimes(parseSchedule(schedule), now - 10_000, zone, 1)[0] === theirs,
        `${schedule} ${zone}: ${mine} ${theirs}`,
      );
      compared += 1;
    }
    assert.ok(compared > 20, `${compared}`);
  } finally {
    await server.remove();
  }
});
