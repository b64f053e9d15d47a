"""What somebody has deleted by hand between two deployments is in the plan, and the next deployment makes it again."""

from tests.aws.broken_off import Project
from tests.aws.deploys import document, run


def test_what_was_deleted_by_hand_is_in_the_plan_and_is_made_again(project: Project) -> None:
    code, said = run(project.aws, *project.deploy)
    assert code == 0, said
    sagemaker, iam, s3 = (project.aws.client(service) for service in ("sagemaker", "iam", "s3"))
    role = f"{project.name}-hosting-us-east-1"
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    iam.delete_role(RoleName=role)
    photo = s3.list_objects_v2(Bucket=project.bucket, Prefix="data/")["Contents"][0]["Key"]
    s3.delete_object(Bucket=project.bucket, Key=photo)
    configuration = sagemaker.describe_endpoint(EndpointName=project.name)["EndpointConfigName"]
    variant = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"][0]
    sagemaker.delete_model(ModelName=variant["ModelName"])
    sagemaker.delete_endpoint_config(EndpointConfigName=configuration)
    project.aws.client("lambda").delete_alias(FunctionName=f"{project.name}-proxy", Name="live")

    code, said = run(project.aws, *project.plan)
    assert code == 0, said
    steps = {step["title"]: step["action"] for step in document(said)["plan"]["steps"]}
    assert {title: action for title, action in steps.items() if action != "unchanged"} == {
        "Data in S3": "update", "Role of hosting": "create", "Model": "create", "Endpoint configuration": "create",
        "Alias of the function": "create",
    }  # fmt: skip
    code, said = run(project.aws, *project.deploy)
    assert code == 0, said
    project.check_deployed()

    project.aws.forget()
    artifact = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]["ModelDataUrl"]
    s3.delete_object(Bucket=project.bucket, Key=artifact.removeprefix(f"s3://{project.bucket}/"))
    sagemaker.delete_model(ModelName=variant["ModelName"])
    code, said = run(project.aws, *project.deploy)
    assert (code, "its artifact s3://" in said, "waits for" in said) == (1, True, False), said
    assert len(project.aws.calls("sagemaker", "CreateModel")) == 1
    project.check_destroyed()
