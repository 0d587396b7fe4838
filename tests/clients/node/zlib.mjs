// Packs standard input by the function of node:zlib that the argument names.

import { readFileSync } from 'node:fs';
import zlib from 'node:zlib';

process.stdout.write(zlib[process.argv[2]](readFileSync(0)));
