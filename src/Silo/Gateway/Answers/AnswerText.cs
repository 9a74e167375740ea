using Krewe.Models;
using Krewe.Silo.Gateway.Constraints;
using Krewe.Silo.Gateway.Reasoning;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// Turns output tokens into the answer's text: whole characters, without stop strings and stop tokens.
/// </summary>
internal sealed class AnswerText(Tokenizer tokenizer, GenerationRequest request)
{
    private readonly StreamDecoder _decoder =
        tokenizer.CreateStreamDecoder(request.SkipSpecialTokens, request.ContinuesText);

    private readonly StopMatcher _stops = new(request.StopStrings, request.ShowsStop);
    private readonly ReasoningReader? _thoughts = AnswerCalls.ThoughtsOf(request);
    private int _tokens;

    /// <summary>Tokens up to the end of the thoughts.</summary>
    public int ReasoningTokens { get; private set; }

    /// <summary>The token's text as far as it can be shown, and the stop string that ends the answer with it.</summary>
    public (string Text, string? Stop) Append(int token)
    {
        var piece = _decoder.Append(token);
        _tokens++;
        if (_thoughts is { IsOver: false } thoughts)
        {
            thoughts.Append(piece, isLast: false);
            if (thoughts.HasThought) ReasoningTokens = _tokens;
        }

        // Stop strings are looked for behind the least number of tokens, as stop tokens are.
        return _tokens <= request.Spec.MinOutputTokens ? (piece, null) : _stops.Append(piece);
    }

    /// <summary>What was held back, and the stop string that even that completes. No more tokens will come.</summary>
    public (string Text, string? Stop) Finish()
    {
        var (visible, stop) = _stops.Append(_decoder.Flush());
        return (stop is null ? visible + _stops.Flush() : visible, stop);
    }
}
