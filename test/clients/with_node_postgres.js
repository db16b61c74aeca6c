// What node-postgres makes of every call.  See test/t/072_clients.pl.

const { Pool } = require('pg');

const pool = new Pool({ max: 1 });
let notices = [];
pool.on('connect', (client) => client.on('notice', (n) => notices.push(n.message)));

// Make a call; report its rows or every field of its error.
async function attempt(step, client, call, parameters) {
  notices = [];
  let facts;
  try {
    const result = await client.query(call, parameters);
    facts = { rows: result.rows.map((row) => Object.values(row).map(String)) };
  } catch (error) {
    facts = {
      sqlstate: error.code,
      message: error.message,
      detail: error.detail,
      hint: error.hint,
      where: error.where,
      position: error.internalPosition,
      query: error.internalQuery,
    };
  }
  console.log(JSON.stringify({ step, ...facts, notices }));
}

const APPLY = 'SELECT version FROM migrate.apply(target => $1, note => $2)';
const APPLY_PROJECT = 'SELECT version FROM migrate.apply(project => $1)';
const EACH = 'CALL migrate.apply_each(target => $1, note => $2, project => $3)';
const EACH_PROJECT = 'CALL migrate.apply_each(project => $1)';

async function main() {
  const client = await pool.connect();
  await client.query('BEGIN');
  await attempt('apply', client, APPLY, ['001', 'sent by the client']);
  await client.query('COMMIT');
  await client.query('BEGIN');
  await attempt('refused', client, EACH, [null, null, 'each']);
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  await attempt('forgotten', client, APPLY, ['002', null]);
  await client.query('ROLLBACK');
  client.release();

  await attempt('apply again', pool, APPLY, ['002', null]);
  await attempt('apply, located', pool, APPLY_PROJECT, ['located']);
  await attempt('apply, raised', pool, APPLY_PROJECT, ['raised']);
  await attempt('each', pool, EACH, ['e2', 'sent by the client', 'each']);
  await attempt('each, rest', pool, EACH_PROJECT, ['each']);
  // a name makes it a prepared statement of the server
  const named = { name: 'again', text: EACH_PROJECT, values: ['each'] };
  await attempt('each, nothing', pool, named);
  await attempt('each, prepared', pool, named);
  await attempt('each, located', pool, EACH_PROJECT, ['located']);
  await attempt('each, raised', pool, EACH_PROJECT, ['raised']);
  await attempt('refused, string', pool, "SELECT 1; CALL migrate.apply_each(project => 'other')");
  await pool.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(2);
});
