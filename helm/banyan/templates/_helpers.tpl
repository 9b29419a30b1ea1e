{{/* Names and labels. Every templated value that ends up in YAML is quoted: a release may be called "y". */}}

{{- define "banyan.name" -}}
{{- printf "%s" (ternary .Release.Name (printf "%s-banyan" .Release.Name) (contains "banyan" .Release.Name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "banyan.labels" -}}
app.kubernetes.io/name: banyan
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "banyan.routerSelector" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: router
{{- end -}}

{{/* Call with (dict "root" $ "pool" $pool). */}}
{{- define "banyan.workerSelector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: worker
banyan.dev/pool: {{ .pool.name | quote }}
{{- end -}}

{{- define "banyan.workerName" -}}
{{- printf "%s-%s" (include "banyan.name" .root) .pool.name -}}
{{- end -}}

{{/* Call with (dict "root" $ "process" "router"). */}}
{{- define "banyan.image" -}}
{{- printf "%s-%s:%s" .root.Values.image.repository .process (.root.Values.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}

{{- define "banyan.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "banyan.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What a schema cannot say. */}}
{{- define "banyan.validate" -}}
{{- $names := dict -}}
{{- range .Values.pools -}}
{{- if hasKey $names .name -}}
{{- fail (printf "pools: the name %q stands twice; pool names are unique" .name) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- if eq .name "router" -}}
{{- fail "pools: a pool may not be called \"router\"; that name belongs to the router Deployment" -}}
{{- end -}}
{{- $sources := list -}}
{{- range $key, $value := .modelSource -}}{{- if $value -}}{{- $sources = append $sources $key -}}{{- end -}}{{- end -}}
{{- if ne (len $sources) 1 -}}
{{- fail (printf "pools[%s].modelSource: set exactly one of persistentVolumeClaim and hostPath, found %d" .name (len $sources)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
