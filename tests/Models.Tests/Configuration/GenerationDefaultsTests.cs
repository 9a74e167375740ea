namespace Krewe.Models.Tests.Configuration;

public class GenerationDefaultsTests
{
    [Fact]
    public void The_bundled_models_file_says_greedy_and_512_tokens()
    {
        var defaults = GenerationDefaults.Load(TestFiles.TinyModel, 1024);
        Assert.Equal((0f, 512), (defaults.Temperature, defaults.MaxNewTokens));
        Assert.Equal([1020], defaults.EosTokenIds);
    }

    [Fact]
    public void Values_are_read_and_what_is_off_is_null()
    {
        using var folder = new TemporaryFolder();
        folder.Write("generation_config.json", """
            {"do_sample":true,"temperature":0.6,"top_p":0.95,"top_k":20,"min_p":0.0,"repetition_penalty":1.05,
             "eos_token_id":[5,6]}
            """);
        var defaults = GenerationDefaults.Load(folder.FullPath, 10);
        Assert.Equal((0.6f, 0.95f, 20, 0f, 1.05f),
            (defaults.Temperature, defaults.TopP, defaults.TopK, defaults.MinP, defaults.RepetitionPenalty));
        Assert.Equal([5, 6], defaults.EosTokenIds);
        folder.Write("generation_config.json", """{"top_k":0}""");
        Assert.Null(GenerationDefaults.Load(folder.FullPath, 10).TopK);
    }

    [Fact]
    public void A_folder_without_the_file_has_no_defaults()
    {
        using var folder = new TemporaryFolder();
        var defaults = GenerationDefaults.Load(folder.FullPath, 10);
        Assert.Null(defaults.Temperature);
        Assert.Empty(defaults.EosTokenIds);
    }

    [Theory]
    [InlineData("""{"temperature":-1}""", "temperature")]
    [InlineData("""{"top_p":0}""", "top_p")]
    [InlineData("""{"top_p":"x"}""", "top_p")]
    [InlineData("""{"eos_token_id":10}""", "eos_token_id")]
    [InlineData("""{"max_new_tokens":0}""", "max_new_tokens")]
    public void A_value_out_of_range_is_named(string json, string part)
    {
        using var folder = new TemporaryFolder();
        folder.Write("generation_config.json", json);
        Assert.Contains(part, Assert.Throws<ModelException>(() => GenerationDefaults.Load(folder.FullPath, 10)).Message,
            StringComparison.Ordinal);
    }
}
