"""Reads {url, key, secret, token, region, time, expires} lines of JSON, prints the signature that botocore gives each URL's GET."""

import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Fixed(datetime.datetime):
    now_value = None

    @classmethod
    def utcnow(cls):
        return cls.now_value

    @classmethod
    def now(cls, tz=None):
        return cls.now_value


for line in sys.stdin:
    asked = json.loads(line)
    moment = datetime.datetime.strptime(asked["time"], "%Y%m%dT%H%M%SZ")
    # Older versions ask the class itself, newer ones a function.
    Fixed.now_value = moment
    botocore.auth.datetime.datetime = Fixed
    botocore.auth.get_current_datetime = lambda *_, **__: moment
    credentials = Credentials(asked["key"], asked["secret"], asked.get("token"))
    request = AWSRequest(method="GET", url=asked["url"])
    botocore.auth.S3SigV4QueryAuth(credentials, "s3", asked["region"], expires=asked["expires"]).add_auth(request)
    print(request.url.rsplit("X-Amz-Signature=", 1)[1])
