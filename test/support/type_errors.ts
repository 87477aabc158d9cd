import path from 'node:path';
import ts from 'typescript';

const ROOT = path.join(__dirname, '../..');

/** What the type checker says against the TypeScript of an app; `''`: nothing. */
export function typeErrorsIn(dir: string, overrides: ts.CompilerOptions = {}): string {
  const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const files = ts.sys.readDirectory(dir, ['.ts'], ['**/node_modules'], ['**/*.ts']);
  const program = ts.createProgram(files, { ...options, rootDir: undefined, ...overrides });
  return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => dir,
    getNewLine: () => '\n',
  });
}
