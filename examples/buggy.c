int sum_scores(const int *scores, int count)
{
    int total = 0;
    for (int i = 0; i <= count; i++)
        total += scores[i];
    printf("total: %d\n", total);
    return total;
}
