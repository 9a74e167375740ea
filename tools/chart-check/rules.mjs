// What Kubernetes' types do not say and a cluster would: references that lead nowhere, pods that "restricted" refuses.
// Each rule takes the documents of one rendering and yields the mistakes.

const workloads = docs => docs.filter(d => ['Deployment', 'StatefulSet'].includes(d.kind));
const pods = docs => [
  ...workloads(docs).map(d => ({ owner: `${d.kind} ${d.metadata.name}`, labels: d.spec.template.metadata.labels,
    spec: d.spec.template.spec, claims: (d.spec.volumeClaimTemplates ?? []).map(c => c.metadata.name) })),
  ...docs.filter(d => d.kind === 'Pod').map(d => ({ owner: `Pod ${d.metadata.name}`, labels: d.metadata.labels,
    spec: d.spec, claims: [] })),
];
const covers = (selector, labels) => Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
const has = (docs, kind, name) => docs.some(d => d.kind === kind && d.metadata.name === name);

export const rules = {
  * 'names are DNS labels and every object is named once'(docs) {
    const seen = new Set();
    for (const d of docs) {
      const name = d.metadata?.name ?? '';
      const long = ['Service', 'StatefulSet', 'Deployment'].includes(d.kind) ? 57 : 63;
      if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name) || name.length > long) yield `${d.kind} '${name}' is no name`;
      const key = `${d.apiVersion}/${d.kind}/${name}`;
      if (seen.has(key)) yield `${key} is there twice`;
      seen.add(key);
      for (const [label, value] of Object.entries(d.metadata?.labels ?? {}))
        if (typeof value !== 'string' || value.length > 63) yield `${key}: label ${label} is ${JSON.stringify(value)}`;
      for (const [note, value] of Object.entries(d.metadata?.annotations ?? {}))
        if (typeof value !== 'string') yield `${key}: annotation ${note} is no string`;
    }
  },
  * 'selectors find their pods and say nothing that an upgrade changes'(docs) {
    for (const d of workloads(docs)) {
      const wanted = d.spec.selector.matchLabels;
      if (!covers(wanted, d.spec.template.metadata.labels)) yield `${d.kind} ${d.metadata.name} does not select its pods`;
      for (const key of Object.keys(wanted)) if (/version|chart/.test(key)) yield `${d.metadata.name} selects by ${key}`;
    }
    const all = pods(docs);
    for (const d of docs.filter(x => x.kind === 'Service' && x.spec.selector)) {
      const found = all.filter(p => covers(d.spec.selector, p.labels));
      if (found.length === 0) yield `Service ${d.metadata.name} selects no pod`;
      for (const port of d.spec.ports)
        for (const pod of found)
          if (typeof port.targetPort === 'string' &&
            !pod.spec.containers.some(c => c.ports?.some(p => p.name === port.targetPort)))
            yield `Service ${d.metadata.name}: ${pod.owner} has no port '${port.targetPort}'`;
    }
    for (const d of docs.filter(x => x.kind === 'PodDisruptionBudget'))
      if (!all.some(p => covers(d.spec.selector.matchLabels, p.labels))) yield `${d.metadata.name} protects no pod`;
  },
  * 'probes and policies name ports that are there'(docs) {
    for (const { owner, spec } of pods(docs))
      for (const c of spec.containers)
        for (const kind of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
          const port = c[kind]?.httpGet?.port ?? c[kind]?.tcpSocket?.port;
          if (typeof port === 'string' && !c.ports?.some(p => p.name === port)) yield `${owner}: ${kind} asks '${port}'`;
        }
    for (const d of docs.filter(x => x.kind === 'NetworkPolicy')) {
      const { matchLabels, matchExpressions } = d.spec.podSelector;
      const chosen = pods(docs).filter(p => covers(matchLabels, p.labels) &&
        (matchExpressions ?? []).every(e => e.values.includes(p.labels[e.key])));
      if (chosen.length === 0) yield `NetworkPolicy ${d.metadata.name} selects no pod`;
      for (const rule of d.spec.ingress ?? [])
        for (const { port } of rule.ports ?? [])
          for (const pod of chosen)
            if (typeof port === 'string' && !pod.spec.containers.some(c => c.ports?.some(p => p.name === port)))
              yield `NetworkPolicy ${d.metadata.name}: ${pod.owner} has no port '${port}'`;
    }
  },
  * 'what is mounted, referred to or scaled is there'(docs, outside) {
    for (const { owner, spec, claims } of pods(docs)) {
      const volumes = new Set([...(spec.volumes ?? []).map(v => v.name), ...claims]);
      for (const c of [...spec.containers, ...(spec.initContainers ?? [])])
        for (const m of c.volumeMounts ?? []) if (!volumes.has(m.name)) yield `${owner} mounts '${m.name}', no volume`;
      for (const v of spec.volumes ?? []) {
        const [kind, name] = v.secret ? ['Secret', v.secret.secretName]
          : v.persistentVolumeClaim ? ['PersistentVolumeClaim', v.persistentVolumeClaim.claimName]
          : v.configMap ? ['ConfigMap', v.configMap.name] : [];
        if (kind && !has(docs, kind, name) && !outside.has(name)) yield `${owner} needs the ${kind} '${name}'`;
      }
      if (spec.serviceAccountName !== 'default' && !has(docs, 'ServiceAccount', spec.serviceAccountName))
        yield `${owner} runs as '${spec.serviceAccountName}', no service account`;
    }
    for (const d of docs.filter(x => x.spec?.scaleTargetRef)) {
      const { kind, name } = d.spec.scaleTargetRef;
      const target = docs.find(x => x.kind === kind && x.metadata.name === name);
      if (!target) yield `${d.kind} ${d.metadata.name} scales ${kind} '${name}', which is not there`;
      else if (target.spec.replicas !== undefined) yield `${name} has replicas and is scaled by ${d.kind}`;
    }
    for (const d of docs.filter(x => x.kind === 'StatefulSet'))
      if (!has(docs, 'Service', d.spec.serviceName)) yield `${d.metadata.name} has no service '${d.spec.serviceName}'`;
    for (const d of docs.filter(x => x.kind === 'Role'))
      for (const rule of d.rules)
        for (const name of rule.resourceNames ?? ['*'])
          if (!has(docs, 'StatefulSet', name)) yield `Role ${d.metadata.name} speaks of '${name}'`;
  },
  * 'every pod passes the standard "restricted"'(docs, outside, example) {
    for (const { owner, spec } of pods(docs)) {
      const s = spec.securityContext ?? {};
      if (s.runAsNonRoot !== true || !(s.runAsUser > 0)) yield `${owner} may run as root`;
      if (!['RuntimeDefault', 'Localhost'].includes(s.seccompProfile?.type)) yield `${owner} has no seccomp profile`;
      if (spec.hostNetwork || spec.hostPID || spec.hostIPC) yield `${owner} shares a namespace with its node`;
      for (const v of spec.volumes ?? []) if (v.hostPath) yield `${owner} mounts a folder of its node`;
      for (const c of [...spec.containers, ...(spec.initContainers ?? [])]) {
        const x = c.securityContext ?? {};
        if (x.allowPrivilegeEscalation !== false) yield `${owner}/${c.name} may gain privileges`;
        if (x.readOnlyRootFilesystem !== true) yield `${owner}/${c.name} may write to its root`;
        if (!x.capabilities?.drop?.includes('ALL') || x.capabilities.add) yield `${owner}/${c.name} has capabilities`;
        if (!c.resources?.requests?.cpu || !c.resources?.limits?.memory) yield `${owner}/${c.name} has no resources`;
        if (c.resources?.limits?.cpu && owner.endsWith('-silo')) yield `${owner}/${c.name} may be throttled`;
        if (!/(:[^:/]+|@sha256:[0-9a-f]{64})$/.test(c.image) || /:latest$/.test(c.image)) yield `${owner}: ${c.image}`;
        if (JSON.stringify(c.args ?? []).match(/requirepass [^']|password=/)) yield `${owner} shows a password`;
      }
    }
  },
  * 'only a silo that scales has a token'(docs) {
    const scales = docs.some(d => d.kind === 'Role');
    for (const { owner, labels, spec } of pods(docs)) {
      const may = scales && labels['app.kubernetes.io/component'] === 'silo';
      if (spec.automountServiceAccountToken !== may) yield `${owner}: token ${spec.automountServiceAccountToken}`;
    }
    for (const d of docs) if (/^Cluster(Role|RoleBinding)$/.test(d.kind)) yield `${d.kind} ${d.metadata.name}`;
  },
  * 'a pod is not killed while it drains'(docs) {
    for (const { owner, spec } of pods(docs))
      for (const c of spec.containers) {
        const args = c.args ?? [];
        const at = args.findIndex(a => a === '--drain' || a === '--drain-grace');
        if (at < 0) continue;
        const sum = Number(args[at + 1]) + (c.lifecycle?.preStop?.sleep?.seconds ?? 0);
        if (!(spec.terminationGracePeriodSeconds > sum)) yield `${owner}: grace ${spec.terminationGracePeriodSeconds} <= ${sum}`;
      }
  },
};

/** The options that each container of the program is given: [command, option, value][]. */
export function* optionsOf(docs) {
  for (const { spec } of pods(docs))
    for (const { args = [] } of spec.containers.filter(c => ['silo', 'worker'].includes(c.args?.[0])))
      for (const [i, a] of args.entries()) if (String(a).startsWith('--')) yield [args[0], a, args[i + 1]];
}
