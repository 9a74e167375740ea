namespace Krewe.Workers;

/// <summary>
/// What one sequence's output must look like: which tokens may come next, given those that came. Its state is a
/// function of the specification, the output tokens and their limit alone, so that a stream goes on identically
/// wherever it is continued. Used by the engine thread only.
/// </summary>
internal interface ITokenConstraint
{
    /// <summary>
    /// One bit a token of the vocabulary, lowest first. Stop tokens are among them, allowed where the output may end.
    /// At least one bit is set; empty: anything may come next. Valid until the next call.
    /// </summary>
    ReadOnlySpan<ulong> Allowed { get; }

    /// <summary>
    /// Anything may come behind the next <paramref name="ahead"/> tokens, whatever these are; with 0, next.
    /// </summary>
    bool IsFree(int ahead);

    /// <summary>The token that came next, be it drawn here or by an earlier attempt.</summary>
    /// <exception cref="Krewe.Abstractions.KreweException">InvalidRequest: it does not follow the constraint.
    /// </exception>
    void Advance(int token);
}

/// <summary>Makes constraints of their specifications.</summary>
internal interface IConstraintFactory
{
    /// <summary>
    /// Any thread, before the sequence starts: does what takes long, so that the engine thread need not. Says nothing
    /// of a specification that cannot be used; <see cref="Create"/> does.
    /// </summary>
    void Prepare(string specification);

    /// <param name="specification">As the gateway wrote it; not empty.</param>
    /// <param name="stopTokens">Tokens that end this sequence.</param>
    /// <param name="outputMax">Tokens that it may have at most.</param>
    /// <exception cref="Krewe.Abstractions.KreweException">InvalidRequest: the specification is not understood.
    /// </exception>
    ITokenConstraint Create(string specification, IReadOnlyList<int> stopTokens, int outputMax);

    /// <param name="limit">Of thoughts, as the gateway wrote it; not empty.</param>
    /// <param name="form">What else the output must look like; null = anything.</param>
    /// <exception cref="Krewe.Abstractions.KreweException">InvalidRequest: the limit is not understood.</exception>
    ITokenConstraint Limit(string limit, ITokenConstraint? form);
}
