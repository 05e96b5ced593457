// node peers.mjs duckdb|duckdb_string_agg|polars INPUT OUTPUT THREADS TEMP_DIR [MEMORY]
//
// The group-by of lines `key<TAB>value` by another program, in the form that was the
// fastest of those tried: see README.md. Run in the folder with node_modules.
import {createRequire} from 'node:module';

const [, , program, input, output, threads, temp, memory] = process.argv;
const require = createRequire(process.cwd() + '/');

async function duckdb(joined) {
  const {DuckDBInstance} = require('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:', {
    threads,
    temp_directory: temp,
    preserve_insertion_order: 'false',
    ...(memory ? {memory_limit: memory} : {}),
  });
  const connection = await instance.connect();
  const text = path => `'${path.replaceAll("'", "''")}'`;
  await connection.run(`
    COPY (SELECT k, ${joined}
          FROM read_csv(${text(input)}, delim = '\t', header = false, quote = '', escape = '',
                        auto_detect = false, columns = {k: 'VARCHAR', v: 'VARCHAR'})
          GROUP BY k)
    TO ${text(output)} (FORMAT csv, DELIMITER '\t', HEADER false)`);
}

async function polars() {
  process.env.POLARS_MAX_THREADS = threads;  // read as the library is loaded
  const pl = require('nodejs-polars').default;
  await pl.scanCSV(input, {
      hasHeader: false, sep: '\t', schema: {k: pl.Utf8, v: pl.Utf8},
      quoteChar: undefined,  // none; the null of its documentation is an error
    })
    .groupBy('k').agg(pl.col('v'))
    .withColumn(pl.col('v').lst.join(','))
    .sinkCSV(output, {includeHeader: false, separator: '\t', quoteStyle: 'never',
                      maintainOrder: false})
    .collect({streaming: true});
}

try {
  if (program === 'polars') {
    await polars();
  } else {
    await duckdb(program === 'duckdb' ? "array_to_string(list(v), ',')" : "string_agg(v, ',')");
  }
  process.exit(0);  // without freeing anything
} catch (error) {
  console.error(String(error.message ?? error).split('\n')[0]);
  process.exit(1);
}
