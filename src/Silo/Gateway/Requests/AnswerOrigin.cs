using System.Security.Cryptography;
using System.Text;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>
/// Where an answer comes from: the endpoint and the body as it was sent. With the request's seed it makes the same
/// answer again, on any silo.
/// </summary>
internal sealed record AnswerOrigin(AnswerKind Kind, ReadOnlyMemory<byte> Body)
{
    /// <summary>Lowercase hexadecimal SHA-256 over endpoint and body.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Write())));

    /// <summary>As <see cref="Abstractions.RequestSpec.Answer"/>.</summary>
    public string Write() => $"{Kind}\n{Encoding.UTF8.GetString(Body.Span)}";

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">It was written by another version.</exception>
    public static AnswerOrigin Parse(string text)
    {
        var line = text.IndexOf('\n', StringComparison.Ordinal);
        return line > 0 && Enum.TryParse<AnswerKind>(text[..line], out var kind) && Enum.IsDefined(kind)
            ? new AnswerOrigin(kind, Encoding.UTF8.GetBytes(text[(line + 1)..]))
            : throw new FormatException("The record of this request was written by another version of the gateway.");
    }
}
