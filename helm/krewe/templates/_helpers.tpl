{{/* Names, labels, images: what every object shares. */}}

{{- define "krewe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* 40 characters: the longest suffix and a StatefulSet's revision label must fit behind it. */}}
{{- define "krewe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "krewe.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of a selector: never a version, which an upgrade would change. Takes (dict "root" $ "component" "silo"). */}}
{{- define "krewe.selectorLabels" -}}
app.kubernetes.io/name: {{ include "krewe.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "krewe.labels" -}}
{{ include "krewe.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: krewe
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata: name, namespace, labels, annotations. Takes root, component, name, and maybe labels, annotations. */}}
{{- define "krewe.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "krewe.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image. Takes root and image. */}}
{{- define "krewe.image" -}}
{{- $registry := default .root.Values.global.imageRegistry .image.registry -}}
{{- $name := .image.repository -}}
{{- if $registry -}}{{- $name = printf "%s/%s" $registry $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "krewe.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "krewe.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "krewe.redis.host" -}}
{{- if .Values.redis.enabled -}}
{{- printf "%s-redis" (include "krewe.fullname" .) -}}
{{- else -}}
{{- .Values.externalRedis.host -}}
{{- end -}}
{{- end -}}

{{/* What --redis takes. */}}
{{- define "krewe.redis.connection" -}}
{{- if .Values.redis.enabled -}}
{{- printf "%s-redis:6379" (include "krewe.fullname" .) -}}
{{- else -}}
{{- printf "%s:%d" .Values.externalRedis.host (int .Values.externalRedis.port) -}}
{{- with .Values.externalRedis.options -}},{{ . }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "krewe.redis.secretName" -}}
{{- if .Values.redis.enabled -}}
{{- default (printf "%s-redis" (include "krewe.fullname" .)) .Values.redis.existingSecret -}}
{{- else -}}
{{- .Values.externalRedis.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "krewe.redis.secretKey" -}}
{{- if .Values.redis.enabled -}}{{- .Values.redis.existingSecretPasswordKey -}}{{- else -}}{{- .Values.externalRedis.existingSecretPasswordKey -}}{{- end -}}
{{- end -}}

{{- define "krewe.storageClass" -}}
{{- $class := default .root.Values.global.storageClass .class -}}
{{- if $class }}
storageClassName: {{ $class }}
{{- end -}}
{{- end -}}

{{/* The folder that --model takes; "" = the image's own. */}}
{{- define "krewe.modelPath" -}}
{{- if ne .Values.model.source "bundled" -}}
{{- with .Values.model.path -}}/models/{{ trimPrefix "/" . }}{{- else -}}/models{{- end -}}
{{- end -}}
{{- end -}}

{{/* A worker role's values: its own before what all workers have. Takes root and role. */}}
{{- define "krewe.workerValues" -}}
{{- mergeOverwrite (deepCopy .root.Values.worker) (deepCopy (index .root.Values .role)) | toYaml -}}
{{- end -}}

{{/* Of a pod, so that it is rolled when a secret or option that it reads only at its start has changed. */}}
{{- define "krewe.checksum" -}}
{{- toYaml (list .Values.cluster .Values.model .Values.routing .Values.externalRedis) | sha256sum | trunc 16 -}}
{{- end -}}
