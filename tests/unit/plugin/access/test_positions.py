"""Where statements stand in the text of a policy."""

from stagemaker.access.positions import Position, statement_positions


def test_a_single_statement_is_where_the_example_of_aws_says() -> None:
    """The example of `aws iam simulate-custom-policy` in the AWS CLI command reference."""
    text = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
        '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )
    assert statement_positions(text) == [(Position(1, 38), Position(1, 167))]


def test_each_statement_of_a_list_has_its_place() -> None:
    text = '{\n  "Statement": [\n    {},\n    {"Sid": "]}"}\n  ],\n  "Version": "2012-10-17"\n}'
    assert statement_positions(text) == [(Position(3, 6), Position(3, 7)), (Position(4, 6), Position(4, 18))]


def test_an_empty_list_has_no_statements() -> None:
    assert statement_positions('{"Statement": [ ]}') == []
