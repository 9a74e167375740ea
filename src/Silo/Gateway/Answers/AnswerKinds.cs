using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway.Messages;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Gateway.Responses;
using Krewe.Silo.Hosting;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>What each generating endpoint reads and writes.</summary>
internal sealed class AnswerKinds(RequestReader reader, ServedModel model)
{
    private const int FingerprintChars = 12;

    /// <summary>What an answer's id puts before the request's.</summary>
    public static string IdPrefixOf(AnswerKind kind) => kind switch
    {
        AnswerKind.Chat => "chatcmpl-",
        AnswerKind.Text => "cmpl-",
        AnswerKind.Response => "resp_",
        AnswerKind.Message => "msg_",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "An endpoint without a prefix."),
    };

    /// <summary>A request's id, given with or without what the answer's id puts before it.</summary>
    public static string RequestIdOf(string asked)
    {
        foreach (var kind in Enum.GetValues<AnswerKind>())
        {
            if (asked.StartsWith(IdPrefixOf(kind), StringComparison.Ordinal)) return asked[IdPrefixOf(kind).Length..];
        }

        return asked;
    }

    /// <summary>Throws <see cref="KreweException"/> that names what is wrong with the body.</summary>
    public GenerationRequest Read(AnswerOrigin origin, Arrival arrival)
    {
        using var body = RequestBody.Parse(origin.Body);
        var request = origin.Kind switch
        {
            AnswerKind.Chat => reader.ReadChat(body, arrival),
            AnswerKind.Text => reader.ReadCompletion(body, arrival),
            AnswerKind.Response => ReadTranslated(
                body, arrival, root => ResponsesRequest.ToChat(root),
                ("messages", "input"), ("max_completion_tokens", "max_output_tokens"),
                ("response_format.json_schema", "text.format"), ("response_format", "text.format"),
                ("reasoning_effort", "reasoning.effort")),
            AnswerKind.Message => ReadTranslated(
                body, arrival, root => MessagesRequest.ToChat(root, reader.Thinks),
                ("max_completion_tokens", "max_tokens"), ("stop", "stop_sequences"),
                ("response_format.json_schema", "output_format")),
            _ => throw new ArgumentOutOfRangeException(nameof(origin), origin.Kind, "An endpoint without a reader."),
        };
        return request with { Origin = origin };
    }

    /// <summary>
    /// The request of a stored sequence as it was, prompt and seed included, with time to run again until
    /// <paramref name="deadline"/>. Throws <see cref="KreweException"/> when another version stored it.
    /// </summary>
    public GenerationRequest Read(RequestSpec stored, DateTimeOffset deadline)
    {
        try
        {
            var request = Read(AnswerOrigin.Parse(stored.Answer!), new Arrival(
                stored.RequestId, stored.Sampling.Seed, stored.ArrivedAt, deadline, stored.Answer));
            // A template may have written the time of day into its only prompt.
            var hasOnePrompt = request.Specs.Length <= request.Candidates;
            return request with
            {
                Specs = [.. request.Specs.Select(spec => spec with
                {
                    PromptTokens = hasOnePrompt ? stored.PromptTokens : spec.PromptTokens,
                    // Another version may have read other limits and forms out of the same body.
                    Sampling = spec.Sampling with
                    {
                        Constraint = stored.Sampling.Constraint,
                        ThoughtLimit = stored.Sampling.ThoughtLimit,
                    },
                })],
            };
        }
        catch (FormatException e)
        {
            throw new KreweException(ErrorCode.NotFound, e.Message, "id", e);
        }
    }

    private GenerationRequest ReadTranslated(
        JsonDocument body, Arrival arrival, Func<RequestField, JsonObject> translate,
        params ReadOnlySpan<(string Chat, string Sent)> names)
    {
        using var chat = ChatTranslation.Translate(body, translate);
        try
        {
            return reader.ReadChat(chat, arrival);
        }
        catch (KreweException e)
        {
            throw ChatTranslation.Rename(e, names);
        }
    }

    /// <summary>A writer of the run's answer from its beginning.</summary>
    public IAnswerFormat CreateFormat(AnswerRun run) => CreateFormat(run.Request, run.PromptLogprobsOf);

    /// <summary>The events of an error that came before the request's run.</summary>
    public IEnumerable<AnswerEvent> Fail(GenerationRequest request, KreweException error) =>
        CreateFormat(request, _ => []).Fail(error);

    private IAnswerFormat CreateFormat(
        GenerationRequest request, Func<int, IReadOnlyList<Wire.TokenLogprobs>> promptLogprobs)
    {
        var head = new AnswerHead(
            IdPrefixOf(request.Origin!.Kind) + RequestIds.Outside(request.Spec.RequestId),
            request.Spec.ArrivedAt.ToUnixTimeSeconds(), model.Name,
            $"fp_{model.Fingerprint[..FingerprintChars]}");
        var context = new AnswerContext(head, request, model.Folder.Tokenizer, promptLogprobs);
        return request.Origin.Kind switch
        {
            AnswerKind.Chat => new ChatFormat(context),
            AnswerKind.Text => new TextFormat(context),
            AnswerKind.Response => new ResponsesFormat(context),
            AnswerKind.Message => new MessagesFormat(context),
            var kind => throw new ArgumentOutOfRangeException(nameof(request), kind, "An endpoint without a format."),
        };
    }
}
