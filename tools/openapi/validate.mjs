// node validate.mjs FILE: exits 0 where FILE is a valid OpenAPI 3.1 document,
// else 1 with what is wrong.
import {readFileSync} from 'node:fs';
import {Validator} from '@seriousme/openapi-schema-validator';

const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(process.argv[2], 'utf8')));
if (result.valid && validator.version === '3.1') {
  const paths = Object.keys(validator.specification.paths).length;
  console.log(`valid OpenAPI ${validator.version}, ${paths} paths`);
} else {
  console.error('not valid OpenAPI 3.1:', validator.version, JSON.stringify(result.errors, null, 1));
  process.exit(1);
}
