//! The only place where rmcp's results are built: from what was recorded, and nothing else.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model as rm;
use serde_json::{Map, Value, json};

use crate::base::bound;
use crate::base::refusal::{Code, Refusal};
use crate::operation::{
    About, Block, Body, Content, Effect, Job, Marks, Output, Question, Registered, ResourceItem, Speaker,
};
use crate::pipeline::ran::Ran;
use crate::pipeline::record::Recorded;

/// JSON-RPC's range for a server's own errors: over a rate, or busy. `data` says when to come back.
const ERROR_COME_BACK: i32 = -32_029;
const ERROR_FORBIDDEN: i32 = -32_003;

/// A refusal as a JSON-RPC error.
pub(super) fn error(refusal: &Refusal) -> ErrorData {
    let mut data = match &refusal.data {
        Some(Value::Object(data)) => data.clone(),
        _ => Map::new(),
    };
    if refusal.code == Code::MissingCapability
        && let Some(required) = data.get("requiredCapabilities")
        && let Ok(required) = serde_json::from_value(required.clone())
    {
        return ErrorData::missing_required_client_capability(required);
    }
    data.insert("code".into(), refusal.code.as_str().into());
    if let Some(span) = refusal.retry_after {
        data.insert("retryAfterMs".into(), json!(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
    }
    let message = refusal.public.clone();
    let data = Some(Value::Object(data));
    match refusal.code {
        Code::NotFound if refusal.data.as_ref().is_some_and(|data| data.get("uri").is_some()) => {
            ErrorData::resource_not_found(message, data)
        }
        Code::NotFound | Code::Invalid | Code::TooLarge | Code::Conflict | Code::MissingCapability => {
            ErrorData::invalid_params(message, data)
        }
        Code::Unauthenticated | Code::Forbidden => ErrorData::new(rm::ErrorCode(ERROR_FORBIDDEN), message, data),
        Code::TooManyRequests | Code::Busy | Code::Unavailable | Code::Timeout => {
            ErrorData::new(rm::ErrorCode(ERROR_COME_BACK), message, data)
        }
        Code::Cancelled | Code::Internal => ErrorData::internal_error(message, data),
    }
}

/// The protocol's own errors stay errors; what a model can mend by another call is a tool result that says so.
fn is_for_the_model(refusal: &Refusal) -> bool {
    let data = |key: &str| refusal.data.as_ref().is_some_and(|data| data.get(key).is_some());
    match refusal.code {
        Code::Invalid => !data("requestState"),
        Code::NotFound => !data("unknown"),
        Code::TooLarge | Code::Conflict | Code::Timeout | Code::Cancelled => true,
        Code::Unauthenticated
        | Code::Forbidden
        | Code::TooManyRequests
        | Code::Busy
        | Code::MissingCapability
        | Code::Unavailable
        | Code::Internal => false,
    }
}

/// What a client's model and person are told beside a result: that it quotes others, and what was found hidden in it.
fn meta(marks: &Marks) -> Option<rm::MetaObject> {
    if !marks.untrusted {
        return None;
    }
    let mut meta = rm::MetaObject::new();
    meta.0.insert("sekisho/untrusted".into(), true.into());
    if !marks.flags.is_empty() {
        meta.0.insert("sekisho/flags".into(), json!(marks.flags));
    }
    Some(meta)
}

/// The answer to `tools/call`. `start` turns work into a task.
pub(super) fn call(
    recorded: Recorded,
    start: impl FnOnce(Job, bool) -> Result<rm::Task, Refusal>,
) -> Result<rm::CallToolResponse, ErrorData> {
    let marks = recorded.marks().clone();
    match recorded.into_reply() {
        Ok(Ran::Done(output)) => Ok(tool_result(output, &marks)?.into()),
        Ok(Ran::Ask { questions, state }) => Ok(rm::CallToolResponse::InputRequired(input_required(questions, state)?)),
        Ok(Ran::Task(job)) => {
            Ok(rm::CreateTaskResult::new(start(job, marks.untrusted).map_err(|refusal| error(&refusal))?).into())
        }
        Err(refusal) if is_for_the_model(&refusal) => {
            Ok(rm::CallToolResult::error(vec![rm::ContentBlock::text(refusal.public)]).into())
        }
        Err(refusal) => Err(error(&refusal)),
    }
}

pub(super) fn tool_result(output: Output, marks: &Marks) -> Result<rm::CallToolResult, ErrorData> {
    let Output::Tool { blocks, structured, failed } = output else { return Err(unexpected()) };
    let content = blocks.into_iter().map(block).collect();
    let mut result = if failed { rm::CallToolResult::error(content) } else { rm::CallToolResult::success(content) };
    result.structured_content = structured;
    result.meta = meta(marks);
    Ok(result)
}

pub(super) fn contents(recorded: Recorded) -> Result<rm::ReadResourceResponse, ErrorData> {
    let meta = meta(recorded.marks());
    match done(recorded)? {
        Output::Contents(contents) => {
            // Documents change with a sync only, and a change is announced.
            let mut result = rm::ReadResourceResult::new(contents.into_iter().map(content).collect());
            result.meta = meta;
            Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(rm::CacheScope::Private).into())
        }
        _ => Err(unexpected()),
    }
}

/// How long a client may keep a list or resource without asking again: changes are announced, and
/// whoever does not listen is at most this far behind.
const TTL_MS: u64 = 5000;

pub(super) fn prompt_messages(recorded: Recorded) -> Result<rm::GetPromptResponse, ErrorData> {
    let meta = meta(recorded.marks());
    match recorded.into_reply() {
        Ok(Ran::Done(Output::Prompt { description, messages })) => {
            let message = |(speaker, content): (Speaker, Block)| {
                let role = if speaker == Speaker::User { rm::Role::User } else { rm::Role::Assistant };
                rm::PromptMessage::new(role, block(content))
            };
            let mut result = rm::GetPromptResult::new(messages.into_iter().map(message).collect());
            result.description = Some(description);
            result.meta = meta;
            Ok(result.into())
        }
        Ok(Ran::Ask { questions, state }) => Ok(input_required(questions, state)?.into()),
        Ok(_) => Err(unexpected()),
        Err(refusal) => Err(error(&refusal)),
    }
}

pub(super) fn completion(recorded: Recorded) -> Result<rm::CompleteResult, ErrorData> {
    let Output::Completion { mut values, total } = done(recorded)? else { return Err(unexpected()) };
    let more = values.len() > bound::COMPLETION_VALUES_MAX;
    values.truncate(bound::COMPLETION_VALUES_MAX);
    let total = u32::try_from(total).ok().filter(|_| !more);
    let info =
        rm::CompletionInfo::with_pagination(values, total, more).map_err(|reason| error(&Refusal::internal(reason)))?;
    Ok(rm::CompleteResult::new(info))
}

pub(super) fn tools(ran: Ran) -> Result<rm::ListToolsResult, ErrorData> {
    let Ran::Done(Output::Operations { items, next }) = ran else { return Err(unexpected()) };
    let mut result = rm::ListToolsResult::with_all_items(items.iter().map(|about| tool(about)).collect());
    result.next_cursor = next;
    Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(rm::CacheScope::Private))
}

pub(super) fn prompts(ran: Ran) -> Result<rm::ListPromptsResult, ErrorData> {
    let Ran::Done(Output::Operations { items, next }) = ran else { return Err(unexpected()) };
    let mut result = rm::ListPromptsResult::with_all_items(items.iter().map(|about| prompt(about)).collect());
    result.next_cursor = next;
    Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(rm::CacheScope::Private))
}

pub(super) fn resources(ran: Ran) -> Result<rm::ListResourcesResult, ErrorData> {
    let Ran::Done(Output::Resources { items, next }) = ran else { return Err(unexpected()) };
    let mut result = rm::ListResourcesResult::with_all_items(items.into_iter().map(resource).collect());
    result.next_cursor = next;
    Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(rm::CacheScope::Private))
}

pub(super) fn templates(ran: Ran) -> Result<rm::ListResourceTemplatesResult, ErrorData> {
    let Ran::Done(Output::Templates { items }) = ran else { return Err(unexpected()) };
    let template = |item: ResourceItem| {
        let mut template = rm::ResourceTemplate::new(item.uri, item.name).with_title(item.title);
        template.description = item.description;
        template.mime_type = item.media_type;
        template
    };
    let result = rm::ListResourceTemplatesResult::with_all_items(items.into_iter().map(template).collect());
    Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(rm::CacheScope::Private))
}

/// A tool as `tools/list` shows it.
fn tool(about: &About) -> rm::Tool {
    let annotations = rm::ToolAnnotations::with_title(about.title.clone())
        .read_only(about.effect == Effect::ReadOnly)
        .destructive(about.effect == Effect::Destroys)
        .idempotent(about.idempotent)
        .open_world(false);
    let mut tool = rm::Tool::new(about.name.clone(), about.description.clone(), Arc::new(object(&about.input)))
        .with_title(about.title.clone())
        .with_annotations(annotations);
    tool.output_schema = about.output.as_ref().map(|schema| Arc::new(object(schema)));
    tool
}

/// What rmcp looks at before a call: the name and the input schema, and so nothing else is copied.
pub(super) fn tool_input(registered: &Registered) -> rm::Tool {
    rm::Tool::new(registered.about.name.clone(), "", Arc::clone(&registered.input_object))
}

/// A prompt's arguments are the properties of its input schema.
fn prompt(about: &About) -> rm::Prompt {
    let required: Vec<&str> =
        about.input["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let argument = |(name, schema): (&String, &Value)| {
        let mut argument = rm::PromptArgument::new(name.clone()).with_required(required.contains(&name.as_str()));
        argument.description = schema["description"].as_str().map(str::to_owned);
        argument
    };
    let arguments: Vec<_> = about.input["properties"].as_object().into_iter().flatten().map(argument).collect();
    rm::Prompt::new(about.name.clone(), Some(about.description.clone()), (!arguments.is_empty()).then_some(arguments))
        .with_title(about.title.clone())
}

fn resource(item: ResourceItem) -> rm::Resource {
    let mut resource = rm::Resource::new(item.uri, item.name).with_title(item.title);
    resource.description = item.description;
    resource.mime_type = item.media_type;
    resource.size = item.bytes;
    resource
}

fn block(block: Block) -> rm::ContentBlock {
    match block {
        Block::Text(text) => rm::ContentBlock::text(text),
        Block::Image { data, media_type } => rm::ContentBlock::image(data, media_type),
        Block::Audio { data, media_type } => rm::ContentBlock::audio(data, media_type),
        Block::Embedded(embedded) => rm::ContentBlock::resource(content(embedded)),
    }
}

fn content(content: Content) -> rm::ResourceContents {
    let contents = match content.body {
        Body::Text(text) => rm::ResourceContents::text(text, content.uri),
        Body::Blob(data) => rm::ResourceContents::blob(data, content.uri),
    };
    contents.with_mime_type(content.media_type)
}

fn input_required(
    questions: Vec<(String, Question)>,
    state: Option<String>,
) -> Result<rm::InputRequiredResult, ErrorData> {
    let mut requests = rm::InputRequests::new();
    for (key, question) in questions {
        requests.insert(key, input_request(question).map_err(|refusal| error(&refusal))?);
    }
    Ok(rm::InputRequiredResult::new(Some(requests), state))
}

pub(super) fn input_request(question: Question) -> Result<rm::InputRequest, Refusal> {
    Ok(match question {
        Question::Form { message, schema } => {
            rm::InputRequest::Elicitation(rm::ElicitRequest::new(form(message, schema)?))
        }
        Question::Sample { prompt, tokens_max } => {
            let params = rm::CreateMessageRequestParams::new(vec![rm::SamplingMessage::user_text(prompt)], tokens_max);
            rm::InputRequest::CreateMessage(rm::CreateMessageRequest::new(params))
        }
        Question::Roots => rm::InputRequest::ListRoots(rm::ListRootsRequest::default()),
        Question::Url { message, url, id } => {
            rm::InputRequest::Elicitation(rm::ElicitRequest::new(address(message, url, id)))
        }
    })
}

pub(super) fn form(message: String, schema: Value) -> Result<rm::ElicitRequestParams, Refusal> {
    let requested_schema = serde_json::from_value(schema).map_err(Refusal::internal)?;
    Ok(rm::ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema })
}

/// An address for the person.
pub(super) fn address(message: String, url: String, elicitation_id: String) -> rm::ElicitRequestParams {
    rm::ElicitRequestParams::UrlElicitationParams { meta: None, message, url, elicitation_id }
}

fn done(recorded: Recorded) -> Result<Output, ErrorData> {
    match recorded.into_reply() {
        Ok(Ran::Done(output)) => Ok(output),
        Ok(_) => Err(unexpected()),
        Err(refusal) => Err(error(&refusal)),
    }
}

fn object(schema: &Value) -> Map<String, Value> {
    schema.as_object().cloned().unwrap_or_default()
}

/// An operation gave something that its kind of request has no answer for: our own bug.
fn unexpected() -> ErrorData {
    error(&Refusal::internal("an operation gave an output of the wrong kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes at once and what comes of a task are built here alike.
    #[test]
    fn a_result_carries_the_marks_of_what_it_quotes() {
        let meta = |marks: &Marks| {
            let result = tool_result(Output::text("A page."), marks).unwrap();
            serde_json::to_value(result).unwrap()["_meta"].clone()
        };
        assert_eq!(meta(&Marks::default()), Value::Null);
        let marks = Marks { untrusted: true, flags: vec!["hidden_unicode.tag".into()] };
        assert_eq!(meta(&marks), json!({"sekisho/untrusted": true, "sekisho/flags": ["hidden_unicode.tag"]}));
    }
}
