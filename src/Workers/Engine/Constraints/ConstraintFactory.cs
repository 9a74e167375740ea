using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// Constraints over one model's tokenizer. What was compiled last is kept, with the masks that were met: the next
/// request with the same specification begins where they are known.
/// </summary>
/// <param name="tokenizer">Of the model.</param>
/// <param name="vocabularySize">Rows of its logits.</param>
/// <param name="endTokens">Its own end tokens.</param>
internal sealed class ConstraintFactory(Tokenizer tokenizer, int vocabularySize, IReadOnlyList<int> endTokens)
    : IConstraintFactory
{
    private const int KeptMax = 64;

    /// <summary>All that is kept together; running sequences hold theirs beyond it.</summary>
    private const long KeptBytesMax = 128L << 20;

    // The tokens are sorted once, when the first constraint comes.
    private readonly Lazy<TokenVocabulary> _vocabulary =
        new(() => new TokenVocabulary(tokenizer, vocabularySize, endTokens));

    private readonly Lock _gate = new();
    private readonly LinkedList<Entry> _kept = [];

    public void Prepare(string specification)
    {
        try
        {
            Compile(specification);
        }
        catch (KreweException)
        {
            // The sequence's start says so to whom it belongs.
        }
    }

    public ITokenConstraint Create(string specification, IReadOnlyList<int> stopTokens, int outputMax)
    {
        if (endTokens.Count == 0 || !endTokens.All(stopTokens.Contains))
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                "A constrained output ends with the model's own end token; it cannot be ignored.", "ignore_eos");
        }

        var compiled = Compile(specification);
        return new TokenConstraint(new ConstraintMatch(compiled, stopTokens, outputMax));
    }

    public ITokenConstraint Limit(string limit, ITokenConstraint? form)
    {
        try
        {
            return new LimitedThought(ThoughtLimit.Parse(limit), tokenizer, vocabularySize, form);
        }
        catch (FormatException e)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, $"The limit of thoughts cannot be used: {e.Message}", innerException: e);
        }
    }

    private CompiledConstraint Compile(string specification)
    {
        lock (_gate)
        {
            if (Find(specification) is { } known) return known;
        }

        var compiled = CompileNew(specification);
        lock (_gate)
        {
            // Another link may have been faster.
            if (Find(specification) is { } known) return known;
            _kept.AddFirst(new Entry(specification, compiled));
            while (_kept.Count > KeptMax || (_kept.Count > 1 && KeptBytes > KeptBytesMax)) _kept.RemoveLast();
        }

        return compiled;
    }

    private long KeptBytes => _kept.Sum(entry => entry.Compiled.Bytes);

    private CompiledConstraint? Find(string specification)
    {
        for (var node = _kept.First; node is not null; node = node.Next)
        {
            if (node.Value.Specification != specification) continue;
            _kept.Remove(node);
            _kept.AddFirst(node);
            return node.Value.Compiled;
        }

        return null;
    }

    private CompiledConstraint CompileNew(string specification)
    {
        try
        {
            return CompiledConstraint.Compile(ConstraintSpec.Parse(specification), _vocabulary.Value);
        }
        catch (Exception e) when (e is FormatException or ConstraintException)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, $"The output's constraint cannot be used: {e.Message}", innerException: e);
        }
    }

    private sealed record Entry(string Specification, CompiledConstraint Compiled);
}
