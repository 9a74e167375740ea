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
            var (_, form) = Read(specification);
            if (form is not null) Compile(form);
        }
        catch (KreweException)
        {
            // The sequence's start says so to whom it belongs.
        }
    }

    public ITokenConstraint Create(string specification, IReadOnlyList<int> stopTokens, int outputMax)
    {
        var (limit, form) = Read(specification);
        var constraint = form is null ? null : CreateForm(form, stopTokens, outputMax);
        return limit is null
            ? constraint!
            : new LimitedThought(
                limit, tokenizer.Encode(limit.Closing, addSpecialTokens: false), tokenizer, vocabularySize, constraint);
    }

    private TokenConstraint CreateForm(ConstraintSpec form, IReadOnlyList<int> stopTokens, int outputMax)
    {
        if (endTokens.Count == 0 || !endTokens.All(stopTokens.Contains))
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                "A constrained output ends with the model's own end token; it cannot be ignored.", "ignore_eos");
        }

        var compiled = Compile(form);
        return new TokenConstraint(new ConstraintMatch(compiled, stopTokens, outputMax));
    }

    /// <summary>The limit of thoughts, and the form of the output; one of them may be null.</summary>
    private static (ThoughtLimit? Limit, ConstraintSpec? Form) Read(string specification)
    {
        try
        {
            var spec = ConstraintSpec.Parse(specification);
            if (spec is { Kind: ConstraintKind.Anything, ThoughtLimit: null })
                throw new FormatException("It says nothing.");
            // Requests with the same form and other limits share what was compiled.
            var form = spec.Kind == ConstraintKind.Anything ? null : spec with { ThoughtLimit = null };
            return (spec.ThoughtLimit, form);
        }
        catch (FormatException e)
        {
            throw Unusable(e);
        }
    }

    private CompiledConstraint Compile(ConstraintSpec form)
    {
        var specification = form.Write();
        lock (_gate)
        {
            if (Find(specification) is { } known) return known;
        }

        var compiled = CompileNew(form);
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

    private CompiledConstraint CompileNew(ConstraintSpec form)
    {
        try
        {
            return CompiledConstraint.Compile(form, _vocabulary.Value);
        }
        catch (ConstraintException e)
        {
            throw Unusable(e);
        }
    }

    private static KreweException Unusable(Exception error) => new(
        ErrorCode.InvalidRequest, $"The output's constraint cannot be used: {error.Message}", innerException: error);

    private sealed record Entry(string Specification, CompiledConstraint Compiled);
}
