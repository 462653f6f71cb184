{{- define "intellirouter.roleNames" -}}
router: {role: Router, kind: Deployment}
chainEngine: {role: ChainEngine, kind: Deployment}
ragManager: {role: RagManager, kind: StatefulSet}
personaLayer: {role: PersonaLayer, kind: StatefulSet}
{{- end }}

{{- /* The name of a part: of a release `home`, `home-router`. */ -}}
{{- define "intellirouter.name" -}}
{{- printf "%s-%s" (.root.Release.Name | trunc 40 | trimSuffix "-") (.part | kebabcase) -}}
{{- end }}

{{- define "intellirouter.selector" -}}
app.kubernetes.io/name: {{ .part | kebabcase }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "intellirouter.labels" -}}
{{ include "intellirouter.selector" . }}
app.kubernetes.io/part-of: intellirouter
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "intellirouter.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "intellirouter.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "intellirouter.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "intellirouter.claim" -}}
- metadata: {name: data}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ .size }}}}
{{- end }}

{{- define "intellirouter.chromaUrl" -}}
{{- if .Values.chroma.enabled -}}
http://{{ include "intellirouter.name" (dict "root" . "part" "chroma") }}:8000
{{- else if .Values.roles.ragManager.enabled -}}
{{ required "chroma.url: name the Chroma of the RagManager, or set chroma.enabled" .Values.chroma.url }}
{{- end -}}
{{- end }}

{{- /* Every RagManager by its own name, as TOML. */ -}}
{{- define "intellirouter.ragNodes" -}}
{{- $name := include "intellirouter.name" (dict "root" . "part" "ragManager") -}}
{{- $nodes := list -}}
{{- range until (int .Values.roles.ragManager.replicas) -}}
{{- $nodes = append $nodes (printf "%s-%d = \"http://%s-%d.%s-nodes:8080\"" $name . $name . $name) -}}
{{- end -}}
{ {{- join ", " $nodes -}} }
{{- end }}
