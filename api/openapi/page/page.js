// Swagger UI fills in every example when an operation is tried out; filters that nobody meant would find nothing. So the examples of
// optional parameters move into their descriptions.
const describeExamples = (text) => {
  const document = JSON.parse(text)
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path))
  const parameters = [...Object.values(document.components.parameters), ...operations.flatMap((operation) => operation.parameters ?? [])]
  for (const parameter of parameters) {
    if (parameter.required || parameter.example === undefined) continue
    parameter.description += ` Example: \`${parameter.example}\``
    delete parameter.example
  }
  return JSON.stringify(document)
}

const examplesAreNoDefaults = () => ({
  statePlugins: { spec: { wrapActions: { updateSpec: (update) => (text) => update(text && describeExamples(text)) } } },
})

window.ui = SwaggerUIBundle({
  url: '../openapi.json',
  dom_id: '#operations',
  plugins: [examplesAreNoDefaults],
  deepLinking: true,
  filter: true,
  defaultModelsExpandDepth: 0,
  // Otherwise a badge asks a public validator about the document.
  validatorUrl: null,
})
