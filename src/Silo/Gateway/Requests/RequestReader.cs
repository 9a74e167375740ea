using System.Collections.Immutable;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Constraints;
using Krewe.Silo.Gateway.Reasoning;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>What the gateway knows of a request beside its body.</summary>
/// <param name="RequestId">Its id.</param>
/// <param name="DrawnSeed">The seed when the client gives none.</param>
/// <param name="ArrivedAt">UTC.</param>
/// <param name="Deadline">UTC.</param>
/// <param name="Answer">For <see cref="RequestSpec.Answer"/>; null for a request that nobody can resume.</param>
/// <param name="Tenant">Who pays for work that reading it makes; "" = not limited: nobody is told apart, or a
/// batch, whose lines are read one after the other.</param>
internal sealed record Arrival(
    string RequestId, long DrawnSeed, DateTimeOffset ArrivedAt, DateTimeOffset Deadline, string? Answer = null,
    string Tenant = "");

/// <summary>Turns the bodies of the two generating endpoints into checked requests.</summary>
internal sealed class RequestReader(ServedModel model, SiloOptions options, TimeProvider time)
{
    /// <summary>Most tokens that a model may think; vLLM's name.</summary>
    public const string ThoughtBudget = "thinking_token_budget";

    private const int StopStringsMax = 16;

    /// <summary>Output tokens of a text completion that says nothing; OpenAI's number.</summary>
    private const int CompletionTokensDefault = 16;

    private readonly ChatPrompt _chat = new(model, time);
    private readonly ConstraintChecks _constraints = new(model, time);

    /// <summary>The model's answers are read for thoughts.</summary>
    public bool Thinks { get; } = ReasoningUse.IsOn(options.ReasoningParser, model);

    public GenerationRequest ReadChat(JsonDocument body, Arrival arrival) => Checked(body, root =>
    {
        DemandModel(root);
        LaterFields.RefuseChat(root);
        var tools = ToolFields.Read(root, model.Folder.ChatTemplate);
        var prompt = PromptCut.Read(root, _chat.Read(root, tools?.Shown), model);
        var continues = root.Find("continue_final_message")?.AsBool() ?? false;
        var thoughts = !Thinks ? null
            : continues ? ReasoningUse.ReadContinued(root)
            : ReasoningUse.Read(root, prompt, model);
        var limit = ReadThoughtLimit(root, thoughts);
        if (thoughts is not null && !ReasoningUse.IsToldApart(root)) thoughts = null;
        var form = OutputForm.Read(root, tools, continues, thoughts, limit, _constraints, arrival.Tenant);
        return Read(
            root, arrival, [prompt], model.Folder.Defaults.MaxNewTokens, LogprobFields.ReadChat(root), form) with
        {
            ContinuesText = continues,
            Reasoning = form.Thoughts,
        };
    });

    public GenerationRequest ReadCompletion(JsonDocument body, Arrival arrival) => Checked(body, root =>
    {
        DemandModel(root);
        LaterFields.RefuseCompletions(root);
        var prompts = CompletionPrompt.Read(root, model).Select(prompt => PromptCut.Read(root, prompt, model));
        var form = OutputForm.Read(
            root, tools: null, continuesText: true, thoughts: null, limit: null, _constraints, arrival.Tenant);
        return Read(root, arrival, [.. prompts], CompletionTokensDefault, LogprobFields.ReadText(root), form) with
        {
            ContinuesText = true,
        };
    });

    /// <summary>The tokens of one prompt, or of messages through the chat template, for who only counts them.</summary>
    public ImmutableArray<int> ReadTokens(RequestField root)
    {
        DemandModel(root);
        if (root.Find("messages") is not null)
            return _chat.Read(root, ToolFields.Read(root, model.Folder.ChatTemplate)?.Shown);
        var prompts = CompletionPrompt.Read(root, model).ToList();
        return prompts.Count == 1 ? prompts[0] : throw root.Required("prompt").Wrong("one prompt");
    }

    /// <summary>Reads a body; throws <see cref="KreweException"/> that names what is wrong with it.</summary>
    public static T Checked<T>(JsonDocument body, Func<RequestField, T> read)
    {
        try
        {
            return read(new RequestField(body.RootElement, ""));
        }
        catch (InvalidOperationException e)
        {
            // Any string getter of JsonElement says so of an escape like \ud800 without its other half.
            throw new KreweException(
                ErrorCode.InvalidJson, $"A string of the body is not valid Unicode: {e.Message}", innerException: e);
        }
    }

    /// <summary>Null = none is asked for, or the output has no thoughts.</summary>
    private ThoughtLimit? ReadThoughtLimit(RequestField root, ReasoningUse? thoughts)
    {
        // -1 is vLLM's word for no limit.
        if (root.Find(ThoughtBudget)?.AsInt(-1, int.MaxValue) is not (>= 0 and var most)) return null;
        if (!Thinks)
        {
            throw new KreweException(
                ErrorCode.UnsupportedParameter,
                $"'{ThoughtBudget}' limits thoughts, and '{model.Name}' is not known to think; leave it out, or start "
                + "the silo with --reasoning-parser think.",
                ThoughtBudget);
        }

        if (root.Find("min_tokens") is { } least && least.AsLong() > 0
            && ReadStopTokens(root).Intersect(model.Folder.Tokenizer.Encode(ReasoningUse.Closing, false)).Any())
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"'{ThoughtBudget}' ends thoughts with '{ReasoningUse.Closing}', which is among 'stop_token_ids' and "
                + "must not come before 'min_tokens'; leave one of them out.",
                ThoughtBudget);
        }

        return thoughts?.Limit(most);
    }

    private GenerationRequest Read(
        RequestField root, Arrival arrival, ImmutableArray<ImmutableArray<int>> prompts, int? outputTokensDefault,
        LogprobFields logprobs, OutputForm form)
    {
        var stream = root.Find("stream")?.AsBool() ?? false;
        var (includeUsage, continuousUsage) = ReadStreamOptions(root, stream);
        var (choices, candidates) = ChoiceFields.Read(root, stream, prompts.Length);
        if (stream && logprobs.Prompt is not null)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, "`prompt_logprobs` are not available when `stream=True`.", "prompt_logprobs");
        }

        var hidesOutput = logprobs.Echo && root.Find("max_completion_tokens") is null
            && root.Find("max_tokens") is { Value.ValueKind: JsonValueKind.Number } none && none.AsLong() == 0;
        var sampling = SamplingFields.Read(root, model, arrival.DrawnSeed);
        var ownStops = ReadStopTokens(root);
        var specs = ImmutableArray.CreateBuilder<RequestSpec>(prompts.Length * candidates);
        foreach (var prompt in prompts)
        {
            var maxTokens = hidesOutput ? 1 : ReadMaxTokens(root, prompt.Length, outputTokensDefault);
            for (var choice = 0; choice < candidates; choice++)
            {
                specs.Add(new RequestSpec
                {
                    RequestId = arrival.RequestId,
                    Model = model.Name,
                    PromptTokens = prompt,
                    MaxOutputTokens = maxTokens,
                    MinOutputTokens = hidesOutput ? 0 : ReadMinTokens(root, maxTokens),
                    Sampling = sampling with
                    {
                        Choice = choice,
                        Constraint = form.Constraint,
                        ThoughtLimit = form.Limit?.Write() ?? "",
                        TopLogprobs = logprobs.Output ?? (candidates > choices ? 0 : null),

                        // The others share the first one's prompt, and would have to compute it for nothing.
                        PromptLogprobs = choice == 0 ? logprobs.ComputedPrompt : null,
                    },
                    StopTokens = [.. model.Folder.StopTokenIds.Union(ownStops)],
                    IgnoreEos = root.Find("ignore_eos")?.AsBool() ?? false,
                    Priority = ReadPriority(root),
                    PrefixSalt = ReadPrefixSalt(root),
                    ArrivedAt = arrival.ArrivedAt,
                    Deadline = arrival.Deadline,
                    Choice = specs.Count,
                    Answer = specs.Count == 0 ? arrival.Answer : null,
                });
            }
        }

        return new GenerationRequest
        {
            Specs = specs.MoveToImmutable(),
            Choices = choices,
            Candidates = candidates,
            Stream = stream,
            IncludeUsage = includeUsage,
            ContinuousUsage = continuousUsage,
            StopStrings = ReadStops(root),
            ShowsStop = root.Find("include_stop_str_in_output")?.AsBool() ?? false,
            OwnStopTokens = ownStops,
            SkipSpecialTokens = root.Find("skip_special_tokens")?.AsBool() ?? true,
            ReturnTokenIds = root.Find("return_token_ids")?.AsBool() ?? false,
            TokensAsIds = root.Find("return_tokens_as_token_ids")?.AsBool() ?? false,
            Logprobs = logprobs.Output,
            PromptLogprobs = logprobs.Prompt,
            Echo = logprobs.Echo,
            HidesOutput = hidesOutput,
            Tools = form.Tools,
        };
    }

    private static (bool IncludeUsage, bool ContinuousUsage) ReadStreamOptions(RequestField root, bool stream)
    {
        if (root.Find("stream_options") is not { } options) return default;
        if (!stream)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, "Stream options can only be defined when `stream=True`.", "stream_options");
        }

        var includeUsage = options.Find("include_usage")?.AsBool() ?? false;
        return (includeUsage, includeUsage && (options.Find("continuous_usage_stats")?.AsBool() ?? false));
    }

    /// <summary>Throws <see cref="KreweException"/> when the request names another model.</summary>
    public void DemandModel(RequestField root)
    {
        if (root.Find("model")?.AsString() is not { } asked || asked == model.Name) return;
        throw new KreweException(
            ErrorCode.ModelNotFound,
            $"The model '{asked}' does not exist. This server serves '{model.Name}'; see GET /v1/models.",
            "model");
    }

    /// <summary>The newer field wins. More than the context has room for is cut to what it has.</summary>
    private int ReadMaxTokens(RequestField root, int promptTokens, int? outputTokensDefault)
    {
        var older = root.Find("max_tokens")?.AsInt(1, int.MaxValue);
        var asked = root.Find("max_completion_tokens")?.AsInt(1, int.MaxValue) ?? older;
        var room = model.MaxContextTokens - promptTokens;
        if (room >= 1) return Math.Min(asked ?? outputTokensDefault ?? room, room);
        long requested = asked ?? 1;
        throw new KreweException(
            ErrorCode.ContextLengthExceeded,
            $"This model's maximum context length is {model.MaxContextTokens} tokens. However, you requested "
            + $"{requested} output tokens and your prompt contains {promptTokens} input tokens, for a total of "
            + $"{requested + promptTokens} tokens. Please reduce the length of the prompt.",
            root.Find("messages") is null ? "prompt" : "messages");
    }

    private static int ReadMinTokens(RequestField root, int maxTokens)
    {
        if (root.Find("min_tokens") is not { } field) return 0;
        var tokens = field.AsInt(0, int.MaxValue);
        return tokens <= maxTokens ? tokens : throw field.Wrong($"at most the output tokens allowed, {maxTokens}");
    }

    private ImmutableArray<int> ReadStopTokens(RequestField root) => root.Find("stop_token_ids") is { } field
        ? TokenIds.Read(field, model.Folder.Config.VocabularySize)
        : [];

    private static ImmutableArray<string> ReadStops(RequestField root)
    {
        const string Expected = "a string or an array of strings";
        if (root.Find("stop") is not { } field) return [];
        if (field.Value.ValueKind == JsonValueKind.String) return [DemandText(field)];
        var items = field.Items(Expected);
        return items.Length <= StopStringsMax
            ? [.. items.Select(DemandText)]
            : throw field.Wrong($"an array of at most {StopStringsMax} strings");

        static string DemandText(RequestField item) =>
            item.AsString(Expected) is { Length: > 0 } text ? text : throw item.Wrong("a string that is not empty");
    }

    /// <summary>As clients of vLLM mean it: lower goes first. Inside, higher does.</summary>
    private static int ReadPriority(RequestField root) =>
        -(root.Find("priority")?.AsInt(-int.MaxValue, int.MaxValue) ?? 0);

    private static string ReadPrefixSalt(RequestField root)
    {
        if (root.Find("cache_salt") is not { } field) return "";
        var salt = field.AsString();
        return salt.Length > 0 ? salt : throw field.Wrong("a string that is not empty");
    }
}
