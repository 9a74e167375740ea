using System.Collections.Concurrent;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>
/// Which constraints the model's workers can keep. What was found out is remembered for a while: clients send the same
/// schemas over and over.
/// </summary>
internal sealed class ConstraintChecks(ServedModel model)
{
    private const int RememberedMax = 256;

    private readonly Lazy<TokenVocabulary> _vocabulary = new(() => new TokenVocabulary(
        model.Folder.Tokenizer, model.Folder.Config.VocabularySize, model.Folder.StopTokenIds));

    private readonly ConcurrentDictionary<string, ConstraintException?> _known = new(StringComparer.Ordinal);

    /// <summary>Throws what <paramref name="refuse"/> makes of a constraint that cannot be kept.</summary>
    public void Demand(ConstraintSpec spec, Func<ConstraintException, KreweException> refuse)
    {
        if (model.Folder.StopTokenIds.Count == 0)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"The model '{model.Name}' has no end token, so an output of a given form could never end.");
        }

        var text = spec.Write();
        if (!_known.TryGetValue(text, out var error))
        {
            error = Check(spec);
            if (_known.Count >= RememberedMax) _known.Clear();
            _known.TryAdd(text, error);
        }

        if (error is not null) throw refuse(error);
    }

    /// <summary>Whether the token is text, and not a sign between texts.</summary>
    public bool IsText(int token) => token < model.Folder.Tokenizer.VocabularySize
        && !model.Folder.Tokenizer.IsSpecial(token) && !model.Folder.StopTokenIds.Contains(token);

    private ConstraintException? Check(ConstraintSpec spec)
    {
        try
        {
            ConstraintCompiler.Check(spec, _vocabulary.Value);
            return null;
        }
        catch (ConstraintException e)
        {
            return e;
        }
    }
}
