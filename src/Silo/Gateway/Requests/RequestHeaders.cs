using System.Security.Cryptography;
using System.Text;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>What a request's headers say beside its body.</summary>
/// <param name="RequestId">Its id: the client's, ours, or one that is made of the idempotency key.</param>
/// <param name="IsResumable">The client may come back for the answer.</param>
internal sealed record RequestHeaders(string RequestId, bool IsResumable)
{
    public const string Resumable = "X-Krewe-Resumable";

    private const string IdempotencyKey = "Idempotency-Key";
    private const int KeyCharsMax = 256;

    /// <summary>Throws <see cref="KreweException"/> that names the wrong header.</summary>
    public static RequestHeaders Read(HttpContext context)
    {
        var read = ReadOutside(context);
        return read with { RequestId = RequestIds.Inside(context.Caller().Tenant, read.RequestId) };
    }

    private static RequestHeaders ReadOutside(HttpContext context)
    {
        var headers = context.Request.Headers;
        if (headers[IdempotencyKey] is { Count: > 0 } keys)
        {
            if (keys is not [{ Length: > 0 and <= KeyCharsMax } key])
            {
                throw new KreweException(
                    ErrorCode.InvalidRequest, $"'{IdempotencyKey}' must be one key of 1 to {KeyCharsMax} characters.",
                    IdempotencyKey);
            }

            // The id is the key's: whichever silo gets the request again, the same grain answers for it.
            var hash = SHA256.HashData(Encoding.UTF8.GetBytes(key));
            return new RequestHeaders($"key-{Convert.ToHexStringLower(hash.AsSpan(0, 16))}", IsResumable: true);
        }

        var asked = headers[Resumable];
        if (asked.Count == 0) return new RequestHeaders(context.TraceIdentifier, IsResumable: false);
        if (asked is [{ } word] && bool.TryParse(word, out var isResumable))
            return new RequestHeaders(context.TraceIdentifier, isResumable);
        throw new KreweException(ErrorCode.InvalidRequest, $"'{Resumable}' must be true or false.", Resumable);
    }
}
