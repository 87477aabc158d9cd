import assert from 'node:assert/strict';
import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(__dirname, '..');
// The declarations are kept in memory, as if they lay here: beside the sources, the sources would be found first.
const TYPES = join(ROOT, '.types');

describe('the exports of egg-sse', () => {
  let declarations: Map<string, string>;
  let program: ts.Program;
  let exported: ts.Symbol[];

  before(() => {
    declarations = declare();
    program = compile([join(TYPES, 'lib/index.d.ts')]);
    const checker = program.getTypeChecker();
    const index = checker.getSymbolAtLocation(program.getSourceFile(join(TYPES, 'lib/index.d.ts'))!)!;
    exported = checker.getExportsOfModule(index);
  });

  it('are all there for an ESM program, each as a type or as a value', () => {
    const lines = exported.map((symbol) =>
      symbol.declarations!.some(ts.isTypeOnlyExportDeclaration)
        ? `import type { ${symbol.name} } from './lib/index.mjs';`
        : `import { ${symbol.name} } from './lib/index.mjs'; void ${symbol.name};`,
    );
    const path = join(TYPES, 'program.mts');
    declarations.set(path, lines.join('\n'));
    const importing = compile([path]);
    const file = importing.getSourceFile(path);
    const errors = [...importing.getSyntacticDiagnostics(file), ...importing.getSemanticDiagnostics(file)];
    assert.deepEqual(
      errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
      [],
    );
    assert.ok(lines.length > 40, `only ${lines.length} exports were found`);
  });

  it('hold every type that a public signature names', () => {
    const known = new Set(exported.map(resolve));
    const missing = new Set<string>();
    for (const symbol of known) {
      for (const declaration of symbol.declarations ?? []) {
        for (const named of typesNamedIn(declaration)) {
          if (!known.has(named)) missing.add(`${named.name}, which ${symbol.name} names`);
        }
      }
    }
    assert.deepEqual([...missing], []);
  });

  /** The types of this package that a declaration names. */
  function typesNamedIn(declaration: ts.Node): ts.Symbol[] {
    const found: ts.Symbol[] = [];
    const visit = (node: ts.Node): void => {
      const name = nameOf(node);
      const symbol = name && program.getTypeChecker().getSymbolAtLocation(name);
      const type = symbol && resolve(symbol);
      // What Egg declares is not, though lib/index.ts adds to it.
      const isOwn = type?.declarations?.every((each) => each.getSourceFile().fileName.startsWith(TYPES));
      if (isOwn === true && (type!.flags & ts.SymbolFlags.TypeParameter) === 0) found.push(type!);
      ts.forEachChild(node, visit);
    };
    visit(declaration);
    return found;
  }

  function resolve(symbol: ts.Symbol): ts.Symbol {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    return isAlias ? program.getTypeChecker().getAliasedSymbol(symbol) : symbol;
  }

  function compile(paths: readonly string[]): ts.Program {
    const options: ts.CompilerOptions = {
      module: ts.ModuleKind.Node16,
      target: ts.ScriptTarget.ES2022,
      strict: true,
      skipLibCheck: true,
      noEmit: true,
      types: ['node'],
    };
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists, readFile } = host;
    host.fileExists = (path) => declarations.has(path) || fileExists.call(host, path);
    host.readFile = (path) => declarations.get(path) ?? readFile.call(host, path);
    // Without it TypeScript asks for files in folders that are not on the disk, too.
    host.directoryExists = undefined;
    host.getSourceFile = (path, language, ...rest) => {
      const text = declarations.get(path);
      if (text === undefined) return getSourceFile.call(host, path, language, ...rest);
      return ts.createSourceFile(path, text, language);
    };
    return ts.createProgram(paths, options, host);
  }
});

/** What `npm run build` writes for those who import the package: its declarations, without what is internal. */
function declare(): Map<string, string> {
  const { options, fileNames } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(ROOT, 'tsconfig.build.json'), ts.sys.readFile).config,
    ts.sys,
    ROOT,
    { emitDeclarationOnly: true, outDir: TYPES },
  );
  const files = new Map<string, string>();
  ts.createProgram(fileNames, options).emit(undefined, (path, text) => files.set(path, text));
  return files;
}

/** The name in a node that names a type. */
function nameOf(node: ts.Node): ts.Node | undefined {
  if (ts.isTypeReferenceNode(node)) return node.typeName;
  if (ts.isExpressionWithTypeArguments(node)) return node.expression;
  if (ts.isTypeQueryNode(node)) return node.exprName;
  return ts.isImportTypeNode(node) ? node.qualifier : undefined;
}
