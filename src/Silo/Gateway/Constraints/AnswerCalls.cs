using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Krewe.Models;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Reasoning;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>
/// Thoughts and calls in an answer's sequences, for the formats. A function of the request and its tokens alone: ids
/// too, so that a stream that is resumed has the same.
/// </summary>
internal sealed class AnswerCalls(GenerationRequest request)
{
    private const string Stop = "stop";
    private const int IdBytes = 12;

    private readonly ToolCallReader?[] _readers =
    [
        .. request.Specs.Select(_ => request.Tools is { } tools ? new ToolCallReader(tools.Spec.Style) : null),
    ];

    private readonly ReasoningReader?[] _thoughts =
    [
        .. request.Specs.Select(_ => ThoughtsOf(request)),
    ];

    /// <summary>A reader of the thoughts of one sequence; null where they are not told apart.</summary>
    public static ReasoningReader? ThoughtsOf(GenerationRequest request) =>
        request.Reasoning is { } use ? new ReasoningReader(use, Opening(request)) : null;

    /// <summary>Nobody can say yet whether the sequence begins with thoughts.</summary>
    public bool IsUndecided(int sequence) => _thoughts[sequence] is { IsUndecided: true };

    /// <summary>What a delta adds, thoughts and calls told apart from text.</summary>
    public ToolDelta Append(int sequence, AnswerDelta delta) =>
        Append(sequence, delta.Text, delta.End is not null);

    /// <summary>With calls or thoughts, a token that shows nothing yet is no event of its own.</summary>
    public bool Hides(AnswerDelta delta) =>
        (request.Tools is not null || request.Reasoning is not null) && delta.End is null && !request.ShowsEveryToken;

    /// <summary>A whole answer's text and calls. One that was cut short in a call has none: what is there of it is of
    /// no use.</summary>
    public ToolDelta Read(WholeChoice choice)
    {
        var read = Append(choice.Sequence, choice.Text, isLast: true);
        return _readers[choice.Sequence] is { } reader && reader.Whole != reader.Begun
            ? read with { Calls = [] }
            : read;
    }

    /// <summary>"tool_calls" where functions were called; where the client named the function it is "stop", as OpenAI
    /// and vLLM have it.</summary>
    public string FinishReasonOf(int sequence, AnswerEnd end) =>
        end.FinishReason == Stop && CallsSomething(sequence) && request.Tools is { IsNamed: false }
            ? "tool_calls"
            : end.FinishReason;

    /// <summary>Whole calls were read, and nothing but whole ones.</summary>
    public bool CallsSomething(int sequence) =>
        _readers[sequence] is { Whole: > 0 } reader && reader.Whole == reader.Begun;

    public string IdOf(int sequence, int call, string prefix = "call_")
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"{request.Spec.RequestId}/{sequence}/{call}");
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(name));
        return prefix + Convert.ToHexStringLower(hash.AsSpan(0, IdBytes));
    }

    private static string? Opening(GenerationRequest request) =>
        request is { Tools: { } tools, Reasoning.EndsByTagAlone: false }
        && ToolCallText.Of(tools.Spec.Style) is { OnlyAtStart: false } text
            ? text.Opening
            : null;

    private ToolDelta Append(int sequence, string piece, bool isLast)
    {
        var (thoughts, text) = _thoughts[sequence]?.Append(piece, isLast) ?? ("", piece);
        var delta = _readers[sequence]?.Append(text, isLast) ?? new ToolDelta(text, []);
        return thoughts.Length > 0 ? delta with { Reasoning = thoughts } : delta;
    }
}
