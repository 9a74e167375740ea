// One way to break each rule of rules.mjs: a rule that does not see it is worth nothing.
const find = (docs, kind, part) => docs.find(d => d.kind === kind && d.metadata.name.includes(part));

export const controls = {
  'names are DNS labels and every object is named once': docs => { docs.push(structuredClone(docs[0])); },
  'selectors find their pods and say nothing that an upgrade changes': docs => {
    find(docs, 'Deployment', 'silo').spec.template.metadata.labels['app.kubernetes.io/component'] = 'other';
  },
  'probes and policies name ports that are there': docs => {
    find(docs, 'Deployment', 'silo').spec.template.spec.containers[0].livenessProbe.httpGet.port = 'https';
  },
  'what is mounted, referred to or scaled is there': docs => {
    find(docs, 'Deployment', 'silo').spec.template.spec.containers[0].volumeMounts.push({ name: 'ghost', mountPath: '/x' });
  },
  'every pod passes the standard "restricted"': docs => {
    find(docs, 'StatefulSet', 'decode').spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem = false;
  },
  'only a silo that scales has a token': docs => {
    find(docs, 'StatefulSet', 'decode').spec.template.spec.automountServiceAccountToken = true;
  },
  'a pod is not killed while it drains': docs => {
    find(docs, 'Deployment', 'silo').spec.template.spec.terminationGracePeriodSeconds = 10;
  },
};
