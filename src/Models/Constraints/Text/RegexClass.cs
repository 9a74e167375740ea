namespace Krewe.Models;

/// <summary>
/// The classes \d, \w and \s and their opposites. Engines differ in what they count to them beyond ASCII; only
/// characters are taken on which ECMAScript's, .NET's and Python's agree, so that a text matches for all of them.
/// </summary>
internal static class RegexClass
{
    private static readonly Lazy<CodePointSet> AnyDigits = new(() => Category("Nd").Union(CodePointSet.Digits));

    private static readonly Lazy<CodePointSet> AnyWord = new(() => Category("L").Union(Category("M"))
        .Union(Category("N")).Union(Category("Pc")).Union(CodePointSet.Word).Union(CodePointSet.Range(0x200C, 0x200D)));

    private static readonly Lazy<CodePointSet> AnySpace = new(() => Category("Z").Union(CodePointSet.Space)
        .Union(CodePointSet.Range(0x1C, 0x1F)).Union(CodePointSet.Of(0x85)).Union(CodePointSet.Of(0xFEFF)));

    /// <param name="name">One of d, w, s, D, W and S.</param>
    /// <param name="isNegated">It stands in [^...]: what is left of all characters must be sure, so it may be wide.
    /// </param>
    public static CodePointSet Of(char name, bool isNegated) => (name, isNegated) switch
    {
        ('d', false) => CodePointSet.Digits,
        ('d', true) => AnyDigits.Value,
        ('D', false) => AnyDigits.Value.Complement(),
        ('D', true) => CodePointSet.Digits.Complement(),
        ('w', false) => CodePointSet.Word,
        ('w', true) => AnyWord.Value,
        ('W', false) => AnyWord.Value.Complement(),
        ('W', true) => CodePointSet.Word.Complement(),
        ('s', false) => CodePointSet.Space,
        ('s', true) => AnySpace.Value,
        ('S', false) => AnySpace.Value.Complement(),
        _ => CodePointSet.Space.Complement(),
    };

    private static CodePointSet Category(string name) => CodePointSet.OfCategory(name)!;
}
