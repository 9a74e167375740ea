using Krewe.Models;
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
    private int _tokens;

    /// <summary>The token's text as far as it can be shown, and the stop string that ends the answer with it.</summary>
    public (string Text, string? Stop) Append(int token)
    {
        var piece = _decoder.Append(token);
        // Stop strings are looked for behind the least number of tokens, as stop tokens are.
        return ++_tokens <= request.Spec.MinOutputTokens ? (piece, null) : _stops.Append(piece);
    }

    /// <summary>What was held back, and the stop string that even that completes. No more tokens will come.</summary>
    public (string Text, string? Stop) Finish()
    {
        var (visible, stop) = _stops.Append(_decoder.Flush());
        return (stop is null ? visible + _stops.Flush() : visible, stop);
    }
}
