"""Print the JSON Schema of a file that users read: `schema.py trace|results`."""

import json
import sys

from opencodeinterpreter.traces.evaluation.results import Results
from opencodeinterpreter.traces.trace import line_schema

SCHEMAS = {
    "trace": line_schema,
    "results": lambda: Results.model_json_schema(mode="serialization"),
}

if __name__ == "__main__":
    print(json.dumps(SCHEMAS[sys.argv[1]](), indent=1, ensure_ascii=False))
