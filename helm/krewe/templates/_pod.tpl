{{/* The parts of a pod that every role has in the same way. Takes root, role and values. */}}

{{- define "krewe.pod.metadata" -}}
labels:
  {{- include "krewe.labels" (dict "root" .root "component" .role) | nindent 2 }}
  {{- if ne .role "silo" }}
  llm-d.ai/role: {{ .role }}
  llm-d.ai/inference-serving: "true"
  {{- end }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  krewe/options: {{ include "krewe.checksum" .root }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Above "containers". */}}
{{- define "krewe.pod.head" -}}
serviceAccountName: {{ include "krewe.serviceAccountName" .root }}
automountServiceAccountToken: {{ .needsApi }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- $security := mergeOverwrite (deepCopy .root.Values.podSecurityContext) (deepCopy .values.podSecurityContext) }}
{{- if and (ne .role "silo") .root.Values.workerSeccompLocalhostProfile }}
{{- $_ := set $security "seccompProfile" (dict "type" "Localhost" "localhostProfile" .root.Values.workerSeccompLocalhostProfile) }}
{{- end }}
securityContext:
  {{- toYaml $security | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of the main container, below its arguments and ports. */}}
{{- define "krewe.pod.container" -}}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
  # The root file system is read only; .NET writes its bundle and diagnostics sockets to /tmp.
  - name: TMPDIR
    value: /tmp
  - name: DOTNET_EnableDiagnostics
    value: "0"
  {{- with .values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml (mergeOverwrite (deepCopy .root.Values.securityContext) (deepCopy .values.securityContext)) | nindent 2 }}
{{- range $probe := list "startupProbe" "readinessProbe" "livenessProbe" }}
{{- $found := index $.values $probe }}
{{- with $found }}
{{- $copy := deepCopy . }}
{{- if and (hasKey $copy "httpGet") (eq $.role "silo") $.root.Values.tls.gateway.existingSecret }}
{{- $_ := set $copy.httpGet "scheme" "HTTPS" }}
{{- end }}
{{ $probe }}:
  {{- toYaml $copy | nindent 2 }}
{{- end }}
{{- end }}
{{- if .values.lifecycle }}
lifecycle:
  {{- toYaml .values.lifecycle | nindent 2 }}
{{- else if gt (int .values.preStopSeconds) 0 }}
lifecycle:
  preStop:
    # Endpoints forget the pod meanwhile: nobody new is sent to a silo that refuses.
    sleep: {seconds: {{ .values.preStopSeconds }}}
{{- end }}
{{- end -}}

{{/* The model's mount; nothing for the bundled one. */}}
{{- define "krewe.pod.modelMount" -}}
{{- if ne .Values.model.source "bundled" }}
- name: model
  mountPath: /models
  readOnly: true
{{- end }}
{{- end -}}

{{- define "krewe.pod.modelVolume" -}}
{{- if eq .Values.model.source "pvc" }}
- name: model
  persistentVolumeClaim:
    claimName: {{ default (printf "%s-model" (include "krewe.fullname" .)) .Values.model.pvc.existingClaim }}
    readOnly: true
{{- else if eq .Values.model.source "hostPath" }}
- name: model
  hostPath: {path: {{ .Values.model.hostPath | quote }}, type: Directory}
{{- end }}
{{- end -}}

{{/* Arguments that silos and workers share. */}}
{{- define "krewe.commonArgs" -}}
{{- with include "krewe.modelPath" . }}
- --model
- {{ . | quote }}
{{- end }}
{{- with .Values.model.servedName }}
- --served-model-name
- {{ . | quote }}
{{- end }}
- --block-tokens
- {{ int .Values.cluster.blockTokens | quote }}
- --log-format
- {{ .Values.logging.format | quote }}
{{- if .Values.logging.verbose }}
- --verbose
{{- end }}
{{- if .Values.tracing.enabled }}
- --otlp
- {{ .Values.tracing.otlpEndpoint | quote }}
- --otlp-protocol
- {{ .Values.tracing.protocol | quote }}
- --trace-sample
- {{ .Values.tracing.sample | quote }}
{{- end }}
{{- if .Values.tls.links.existingSecret }}
- --link-cert
- /etc/krewe/link-tls/tls.crt
- --link-key
- /etc/krewe/link-tls/tls.key
- --link-ca
- /etc/krewe/link-tls/ca.crt
{{- end }}
{{- end -}}
