namespace Krewe.Models;

/// <summary>
/// One output that follows a constraint, token by token. State and masks are functions of the constraint, the tokens
/// and the limit alone. When the tokens that are left would no longer do for every continuation, only those are allowed
/// behind which the output can still be brought to its end: so a valid output also ends, whatever the model.
/// </summary>
public sealed class ConstraintMatch
{
    private readonly CompiledConstraint _constraint;
    private readonly int _tokensMax;
    private readonly int[] _ownStops;
    private readonly ulong[] _own;
    private LazyAutomaton _running;
    private Configuration _at;
    private int _tokens;
    private bool _hasEnded;

    /// <param name="constraint">What it follows.</param>
    /// <param name="stopTokens">Tokens that end it, beside the vocabulary's end tokens.</param>
    /// <param name="tokensMax">Tokens that it may have at most, the one that ends it included.</param>
    public ConstraintMatch(CompiledConstraint constraint, IEnumerable<int> stopTokens, int tokensMax)
    {
        ArgumentNullException.ThrowIfNull(constraint);
        (_constraint, _tokensMax) = (constraint, tokensMax);
        _ownStops = [.. stopTokens.Except(constraint.Vocabulary.EndTokens)];
        _own = new ulong[MaskWalk.WordsFor(constraint.Vocabulary.Size)];
        _running = constraint.Current();
        _at = _running.Start;
    }

    /// <summary>The output is whole: it may end here.</summary>
    public bool MayEnd => _at.Accepts;

    /// <summary>One bit a token, lowest first; valid until the next call. All 0 only when a stop token of the request's
    /// own is the only way on.</summary>
    public ReadOnlySpan<ulong> Allowed()
    {
        var mask = _constraint.MaskOf(_running, _at);
        var left = _tokensMax - _tokens;
        if (FarthestOf(left) is { } farthest && mask.FarthestEnd > farthest)
        {
            _constraint.Walk.Fill(_running, _at, farthest, _own);
            ApplyOwnStops();
            return _own;
        }

        if (_ownStops.Length == 0) return mask.Bits;
        mask.Bits.CopyTo(_own, 0);
        ApplyOwnStops();
        return _own;
    }

    /// <summary>The next token. False when the constraint does not allow it.</summary>
    public bool TryAdvance(int token)
    {
        _tokens++;
        if (_hasEnded) return false;
        if (_constraint.Vocabulary.EndTokens.Contains(token) || _ownStops.Contains(token))
        {
            _hasEnded = true;
            return _at.Accepts;
        }

        var bytes = _constraint.Vocabulary.BytesOf(token);
        if (bytes.IsEmpty) return false;
        foreach (var value in bytes) _at = _running.Step(_at, value);
        if (_at == _running.Dead) return false;
        Renew();
        return true;
    }

    /// <summary>
    /// Most bytes that may be left to an end behind the next token: a byte takes at most a token, and the token that
    /// ends the output takes one. Null where even the shortest end is too far: then nothing is gained by steering.
    /// </summary>
    private int? FarthestOf(int left)
    {
        if (_at.Distance <= left - 1) return left - 2;
        return _at.Distance <= left ? left - 1 : null;
    }

    private void ApplyOwnStops()
    {
        foreach (var token in _ownStops)
        {
            if (_at.Accepts) MaskWalk.Set(_own, token);
            else MaskWalk.Clear(_own, token);
        }
    }

    /// <summary>Moves to the newest run, so that one that has grown large can go.</summary>
    private void Renew()
    {
        var current = _constraint.Current();
        if (current == _running || _at.IsPadded) return;
        _at = current.Adopt(_at);
        _running = current;
    }
}
