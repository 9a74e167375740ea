using System.Text;
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

    private readonly StopMatcher _stops = new(request.StopStrings);
    private int _tokens;

    /// <summary>Appends the token's text; true when a stop string is complete and the answer is over.</summary>
    public bool Append(int token, StringBuilder text)
    {
        var piece = _decoder.Append(token);
        // Stop strings are looked for behind the least number of tokens, as stop tokens are.
        if (++_tokens <= request.Spec.MinOutputTokens)
        {
            text.Append(piece);
            return false;
        }

        var (visible, isStopped) = _stops.Append(piece);
        text.Append(visible);
        return isStopped;
    }

    /// <summary>
    /// Appends what was held back; true when even that completes a stop string. No more tokens will come.
    /// </summary>
    public bool Finish(StringBuilder text)
    {
        var (visible, isStopped) = _stops.Append(_decoder.Flush());
        text.Append(visible);
        if (!isStopped) text.Append(_stops.Flush());
        return isStopped;
    }
}
