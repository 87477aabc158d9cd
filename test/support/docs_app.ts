import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { blocksOf, PAGES, type Block } from './docs';
import { typeErrorsIn } from './type_errors';

const ROOT = path.join(__dirname, '../..');

// What test/fixtures/apps/docs/app/reader.ts has for them.
const OF_READER = ['OpenAI', 'apiKey', 'baseURL', 'messages', 'model', 'openai', 'randomUUID'];

/** What a block is, which says where it stands in the app. */
export type Kind = 'module' | 'config' | 'members' | 'routes' | 'boot' | 'fragment';

/** A block of TypeScript in the app. */
export interface Placed extends Block {
  readonly kind: Kind;
  /** Its page, and the how manyth of TypeScript it is there: `runs_1`. */
  readonly name: string;
}

/**
 * An app of every block of TypeScript in the docs, but for docs/recipes.md (see `RecipesApp`), and of test/fixtures/apps/docs,
 * which is what they leave to their reader. In JavaScript it is the same, compiled.
 */
export class DocsApp {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'egg-sse-docs-'));
  readonly blocks: readonly Placed[];

  /** `changes`: texts of the blocks, and what to write in their place. */
  constructor(language: 'TypeScript' | 'JavaScript' = 'TypeScript', changes: Readonly<Record<string, string>> = {}) {
    this.blocks = PAGES.filter((page) => page !== 'docs/recipes.md').flatMap((page) => {
      const blocks = blocksOf(page).filter(({ language }) => language === 'ts');
      return blocks.map((block, index) => {
        const name = `${path.basename(page, '.md')}_${index + 1}`;
        return Object.assign(block, { kind: kindOf(block), name });
      });
    });
    cpSync(path.join(ROOT, 'test/fixtures/apps/docs'), this.dir, { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.dir, 'node_modules'));
    for (const block of this.blocks) {
      const code = Object.entries(changes).reduce(
        (text, [part, instead]) => text.replaceAll(part, instead),
        block.code,
      );
      this.write(placeOf(block), toModule({ ...block, code }));
    }
    if (language === 'JavaScript') this.#compile();
  }

  /** The blocks of a kind. */
  of(kind: Kind): Placed[] {
    return this.blocks.filter((block) => block.kind === kind);
  }

  typeErrors(): string {
    // A block may show what comes of a call, and do nothing with it.
    return typeErrorsIn(this.dir, { noUnusedLocals: false, noUnusedParameters: false });
  }

  write(file: string, text: string): void {
    const place = path.join(this.dir, file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, text);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  #compile(): void {
    for (const file of ts.sys.readDirectory(this.dir, ['.ts'], ['**/node_modules'], ['**/*.ts'])) {
      writeFileSync(file.replace(/ts$/, 'js'), compile(ts.sys.readFile(file)!));
      rmSync(file);
    }
    const plugin = blocksOf('README.md').find(({ file }) => file === 'config/plugin.js')!;
    this.write('config/plugin.js', plugin.code);
  }
}

/** TypeScript as JavaScript, a CommonJS module. */
export function compile(code: string): string {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  });
  return outputText;
}

/** What is wrong with how code is written; `''`: nothing. */
export function syntaxErrorsIn(code: string, extension: '.ts' | '.mjs'): string {
  const { diagnostics = [] } = ts.transpileModule(code, {
    reportDiagnostics: true,
    fileName: `block${extension}`,
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ESNext, allowJs: true },
  });
  return diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')).join('\n');
}

function kindOf({ code, file = '' }: Block): Kind {
  if (syntaxErrorsIn(code, '.ts') !== '') return 'members';
  const { statements } = parse(code);
  if (!statements.some((statement) => ts.isExportAssignment(statement) || isExported(statement))) {
    if (file === 'app/router.ts') return 'routes';
    return file === 'app.ts' ? 'boot' : 'fragment';
  }
  return file === 'config/config.default.ts' ? 'config' : 'module';
}

function placeOf({ kind, name, page, file = '' }: Placed): string {
  if (kind === 'config') return `config/block_${name}.ts`;
  if (kind !== 'module') return `app/${kind === 'fragment' ? 'fragments' : kind}/${name}.ts`;
  if (!/^\S+\.ts$/.test(file)) throw new Error(`${page}: a block that exports something says of which file it is`);
  return file;
}

/** What stands in the file of a block. */
function toModule({ kind, code, file }: Placed): string {
  if (kind === 'config') return withType(code, 'PowerPartial<EggAppConfig>', 'EggAppConfig, PowerPartial');
  if (kind === 'module') return file === 'config/plugin.ts' ? withType(code, 'EggPlugin', 'EggPlugin') : code;
  const imports = parse(code).statements.filter(ts.isImportDeclaration);
  const names = new Set(imports.flatMap(({ importClause }) => namesOf(importClause)));
  const rest = imports.reduce((text, statement) => text.replace(statement.getText(), ''), code);
  const head = `
    import { Controller, type Application, type Context } from 'egg';
    import { ${OF_READER.filter((name) => !names.has(name)).join(', ')} } from '../reader';
    ${imports.map((statement) => statement.getText()).join('\n')}`;
  if (kind === 'members') return `${head}\nexport default class extends Controller {\n${rest}}\n`;
  return `${head}
    interface Reader { app: Application; ctx: Context; router: Application['router'] }
    export async function block(this: Controller, { app, ctx, router }: Reader) {{\n${rest}}}\n`;
}

/** A module whose default export is an object without a type, with one. */
function withType(code: string, type: string, names: string): string {
  const statement = parse(code).statements.find(ts.isExportAssignment)!;
  if (!ts.isObjectLiteralExpression(statement.expression)) return code;
  const typed = `const typed: ${type} = ${statement.expression.getText()};\nexport default typed;`;
  return `import type { ${names} } from 'egg';\n${code.replace(statement.getText(), () => typed)}`;
}

function parse(code: string): ts.SourceFile {
  return ts.createSourceFile('block.ts', code, ts.ScriptTarget.ESNext, true);
}

function isExported(statement: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
  );
}

function namesOf(clause: ts.ImportClause | undefined): string[] {
  const { name, namedBindings } = clause ?? {};
  const named = namedBindings !== undefined && ts.isNamedImports(namedBindings) ? namedBindings.elements : [];
  return [name, ...named.map((element) => element.name)].flatMap((identifier) => identifier?.text ?? []);
}
