# SPDX-License-Identifier: Apache-2.0
"""The description that the daemon serves, judged by a validator that knows nothing of us."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "daemon"))

import jsonschema  # noqa: E402
import openapi_spec_validator  # noqa: E402

import harness  # noqa: E402
import people  # noqa: E402


class Document(people.Case):
    def document(self):
        return self.operator.ok("GET", "/v1/openapi.json")

    def test_it_is_openapi(self):
        document = self.document()
        self.assertEqual(document["openapi"], "3.1.0")
        openapi_spec_validator.validate(document, cls=openapi_spec_validator.OpenAPIV31SpecValidator)
        self.assertEqual(document["info"]["version"], self.operator.ok("GET", "/v1/version")["version"])

    def test_the_validator_sees_what_is_wrong(self):
        document = self.document()
        document["paths"]["/v1/version"]["get"]["responses"] = {"200": {}}
        with self.assertRaises(Exception):
            openapi_spec_validator.validate(document, cls=openapi_spec_validator.OpenAPIV31SpecValidator)

    def test_every_schema_is_one(self):
        for name, schema in self.document()["components"]["schemas"].items():
            with self.subTest(schema=name):
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_whoever_asks_may_read_it(self):
        self.populate()
        stranger = people.Person(self.d, people.NOBODY)
        self.assertEqual(stranger.ok("GET", "/v1/openapi.json"), self.document())
        self.denied(stranger, "GET", "/v1/openapi.json?x=1", None, 400, "bad-request")
        self.denied(people.Person(self.d, token="fgt_x"), "GET", "/v1/openapi.json", None, 401, "unauthorized")

    def test_what_is_not_possible_says_what_is(self):
        connection = self.d.connect()
        for method, path, allow in (("DELETE", "/v1/version", "GET"), ("PUT", "/v1/vgpus", "GET, POST"), ("POST", "/v1/vgpus/a", "GET, PATCH, DELETE"),
                                    ("OPTIONS", "/v1/quotas", "GET, PUT"), ("HEAD", "/v1/tokens", "GET, POST")):
            connection.request(method, path)
            reply = connection.getresponse()
            text = reply.read()
            self.assertEqual((reply.status, reply.headers["Allow"]), (405, allow), (method, path))
            self.assertTrue(method == "HEAD" or json.loads(text)["type"] == "method-not-allowed")
        connection.close()


people.require_root()
harness.main()
