"""AWS's newest models of the services that the stage answers, in place of those of the botocore that LocalStack pins.

With them an operation that AWS added since is known by its name, and a member is read, and refused by its name where
we do not implement it: LocalStack's parser drops what its model does not have. `plugin/make_service_models.py` makes
the files.
"""

from pathlib import Path

from localstack.aws.spec import loader

import stagemaker

FOLDER = Path(stagemaker.__file__).parent / "service_models"


def install() -> None:
    """Have LocalStack find our models before botocore's, from now on. A model that was loaded before stays."""
    if str(FOLDER) not in loader.search_paths:
        loader.search_paths.insert(0, str(FOLDER))
