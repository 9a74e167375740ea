using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>One sequence's <see cref="ConstraintMatch"/>, for the engine.</summary>
internal sealed class TokenConstraint(ConstraintMatch match) : ITokenConstraint
{
    public ReadOnlySpan<ulong> Allowed
    {
        get
        {
            var allowed = match.Allowed();
            return allowed.ContainsAnyExcept(0UL)
                ? allowed
                : throw new KreweException(
                    ErrorCode.InvalidRequest,
                    "The output's constraint leaves only tokens that the request's stop_token_ids take away.",
                    "stop_token_ids");
        }
    }

    public bool IsFree(int ahead) => false;

    public void Advance(int token)
    {
        if (match.TryAdvance(token)) return;
        throw new KreweException(ErrorCode.InvalidRequest, $"Token {token} does not follow the output's constraint.");
    }
}
