"""What WeCom and WeChat have in common: how they are called, and how they seal what they tell."""
