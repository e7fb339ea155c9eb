package ssmdoc

import "slices"

// action is what the rules know of one Automation action.
type action struct {
	required []string
	optional []string
	open     bool     // takes any other input as well
	outputs  []string // given without being declared
	check    func(c *automation, at place, s *Step) error
}

// actions are those of Automation schema 0.3 with their inputs and outputs.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-actions.html
var actions = map[string]action{
	"aws:approve": {
		optional: []string{"Approvers", "NotificationArn", "Message", "MinRequiredApprovals", "EnhancedApprovals"},
		outputs:  []string{"ApprovalStatus", "ApproverDecisions"},
		check:    checkApprove,
	},
	"aws:assertAwsResourceProperty":  {required: []string{"Service", "Api", "PropertySelector", "DesiredValues"}, open: true, check: checkProperty},
	"aws:waitForAwsResourceProperty": {required: []string{"Service", "Api", "PropertySelector", "DesiredValues"}, open: true, check: checkProperty},
	"aws:branch":                     {required: []string{"Choices"}, optional: []string{"Default"}, check: checkBranch},
	"aws:changeInstanceState": {
		required: []string{"InstanceIds", "DesiredState"},
		optional: []string{"CheckStateOnly", "Force", "AdditionalInfo"},
		outputs:  []string{"InstanceStates"},
		check:    oneOf("DesiredState", "running", "stopped", "terminated"),
	},
	"aws:copyImage": {
		required: []string{"SourceImageId", "SourceRegion", "ImageName"},
		optional: []string{"ImageDescription", "Encrypted", "KmsKeyId", "ClientToken"},
		outputs:  []string{"ImageId", "ImageState"},
	},
	"aws:createImage": {
		required: []string{"InstanceId", "ImageName"},
		optional: []string{"ImageDescription", "NoReboot", "BlockDeviceMappings"},
		outputs:  []string{"ImageId", "ImageState"},
	},
	"aws:createStack": {
		required: []string{"StackName"},
		optional: []string{
			"Capabilities", "ClientRequestToken", "DisableRollback", "NotificationARNs", "OnFailure", "ResourceTypes", "RoleARN",
			"StackPolicyBody", "StackPolicyURL", "Tags", "TemplateBody", "TemplateURL", "Parameters", "TimeoutInMinutes", "EnableTerminationProtection",
		},
		outputs: []string{"StackId", "StackStatus", "StackStatusReason"},
	},
	"aws:createTags":  {required: []string{"ResourceIds", "Tags"}, optional: []string{"ResourceType"}},
	"aws:deleteImage": {required: []string{"ImageId"}},
	"aws:deleteStack": {required: []string{"StackName"}, optional: []string{"ClientRequestToken", "RetainResources", "RetainResources.member.N", "RoleARN"}, outputs: []string{"StackId", "StackStatus"}},
	"aws:executeAutomation": {
		required: []string{"DocumentName"},
		optional: []string{"DocumentVersion", "RuntimeParameters", "MaxConcurrency", "MaxErrors", "Targets", "TargetMaps", "TargetParameterName", "TargetLocations", "Tags"},
		outputs:  []string{"Output", "ExecutionId", "Status"},
	},
	"aws:executeAwsApi": {required: []string{"Service", "Api"}, open: true},
	"aws:executeScript": {
		required: []string{"Runtime"},
		optional: []string{"Handler", "InputPayload", "Script", "Attachment"},
		outputs:  []string{"Payload"},
		check:    checkScript,
	},
	"aws:executeStateMachine": {
		required: []string{"stateMachineArn"},
		optional: []string{"name", "input"},
		outputs:  []string{"executionArn", "input", "name", "output", "startDate", "stateMachineArn", "status", "stopDate"},
	},
	"aws:invokeLambdaFunction": {
		required: []string{"FunctionName"},
		optional: []string{"Qualifier", "InvocationType", "LogType", "ClientContext", "InputPayload", "Payload"},
		outputs:  []string{"StatusCode", "FunctionError", "LogResult", "Payload"},
	},
	"aws:invokeWebhook": {required: []string{"IntegrationName"}, optional: []string{"Body"}, outputs: []string{"Response", "ResponseCode"}},
	"aws:loop": {
		required: []string{"Steps"},
		optional: []string{"Iterators", "IteratorDataType", "LoopCondition", "MaxIterations"},
		outputs:  []string{"CurrentIteratorValue", "CurrentIterationCount"},
		check:    checkLoop,
	},
	"aws:pause": {},
	"aws:runCommand": {
		required: []string{"DocumentName"},
		optional: []string{
			"DocumentVersion", "InstanceIds", "Targets", "Parameters", "Comment", "DocumentHash", "DocumentHashType", "NotificationConfig",
			"OutputS3BucketName", "OutputS3KeyPrefix", "OutputS3Region", "CloudWatchOutputConfig", "TimeoutSeconds", "ServiceRoleArn", "MaxConcurrency",
			"MaxErrors", "AlarmConfiguration",
		},
		outputs: []string{"CommandId", "Status", "ResponseCode", "Output"},
		check:   checkRunCommand,
	},
	"aws:runInstances":   {required: []string{"ImageId"}, open: true, outputs: []string{"InstanceIds", "InstanceStates"}},
	"aws:sleep":          {optional: []string{"Duration", "Timestamp"}, check: checkSleep},
	"aws:updateVariable": {required: []string{"Name", "Value"}, check: checkUpdateVariable},
}

// Actions are the names of the actions an Automation document may use.
func Actions() []string {
	names := make([]string, 0, len(actions))
	for name := range actions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// checkInputs holds the inputs of a step against the table of actions.
func (c *automation) checkInputs(at place, s *Step) error {
	a, known := actions[s.Action]
	if !known {
		if s.Action == "" {
			return at.errorf(s.Line, "the step has no action")
		}
		return at.key("action").errorf(actionLine(s), "unknown action %q%s", s.Action, meant(s.Action, Actions()))
	}
	at = at.key("inputs")
	for _, key := range a.required {
		if v := s.Inputs.Get(key); v == nil || v.Kind == Null {
			return at.errorf(s.Line, "%s needs the input %s%s", s.Action, key, near(s.Inputs, key))
		}
	}
	if !a.open {
		if err := at.only(s.Inputs, append(slices.Clone(a.required), a.optional...)...); err != nil {
			return err
		}
	}
	if a.check != nil {
		return a.check(c, at, s)
	}
	return nil
}

// near names the key of a map that differs from the wanted one in case only.
func near(n *Node, key string) string {
	if n == nil {
		return ""
	}
	for _, f := range n.Fields {
		if m := meant(f.Key, []string{key}); m != "" {
			return ", not " + f.Key
		}
	}
	return ""
}
