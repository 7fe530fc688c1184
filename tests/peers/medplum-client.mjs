// A FHIR client nobody here wrote (@medplum/core 4.5, Apache-2.0) reads our FHIR API: it signs in with a statement, searches,
// turns pages, follows references and takes a bulk export. Prints one JSON object.
import { createRequire } from 'node:module';
const { MedplumClient } = createRequire(process.cwd() + '/x.js')('@medplum/core');
const { BASE, STATEMENT } = process.env;
const client = new MedplumClient({ baseUrl: BASE, fhirUrlPath: 'fhir/', tokenUrl: BASE + '/auth/token', fetch });
await client.startJwtAssertionLogin(STATEMENT);
const said = { pages: 0, tasks: [] };
for await (const page of client.searchResourcePages('Task', '_count=1')) { said.pages++; said.tasks.push(...page.map((t) => t.id)); }
const task = await client.searchOne('Task', { patient: 'Patient/ada' });
const claim = await client.readReference(task.focus);
const eob = await client.searchOne('ExplanationOfBenefit', { claim: 'Claim/' + claim.id });
const coverage = await client.readReference(eob.insurance[0].coverage);
said.status = task.businessStatus.text; said.claim = claim.id; said.paid = eob.payment.amount.value; said.coverage = coverage.id;
said.refused = await client.searchOne('Task', { colour: 'x' }).then(() => '', (error) => error.outcome.issue[0].code);
const bulk = await client.bulkExport('', 'Task', undefined, { pollStatusOnAccepted: true, pollStatusPeriod: 100, headers: { Prefer: 'respond-async' } });
said.bulk = bulk.output.map((o) => o.type);
said.lines = (await (await client.download(bulk.output[0].url)).text()).trim().split('\n').map((line) => JSON.parse(line).id);
console.log(JSON.stringify(said));
